"""Random batches after a forward pass, with what a loss reads and where its gradients arrive."""

from __future__ import annotations

import torch

from xlingual.tasks import IGNORE_INDEX
from xlingual.transfer.loss.base import LossInputs

HIDDEN, NUM_LABELS = 6, 3


def make_batch(
    num_source: int = 5, num_target: int = 4, *, seed: int = 0, progress: float = 0.5, **given
) -> LossInputs:
    """Labelled source rows, then unlabelled target rows; tensors are leaves with gradients."""
    generator = torch.Generator().manual_seed(seed)
    rows = num_source + num_target
    features = torch.randn(rows, HIDDEN, generator=generator)
    features[num_source:] += 0.5
    logits = 2 * torch.randn(rows, NUM_LABELS, generator=generator)
    labels = torch.full((rows,), IGNORE_INDEX)
    labels[:num_source] = torch.arange(num_source) % NUM_LABELS
    values = {
        "logits": logits.requires_grad_(),
        "labels": labels,
        "domain": torch.tensor([0] * num_source + [1] * num_target),
        "features": features.requires_grad_(),
        "progress": progress,
    }
    return LossInputs(**{**values, **given})
