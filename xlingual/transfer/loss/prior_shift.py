"""A warning if the class shares of the two domains seem to differ."""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from xlingual.tasks import SOURCE, TARGET
from xlingual.transfer.loss.base import LossInputs

__all__ = ["PriorWatch", "warn_if_prior_moves"]

logger = logging.getLogger(__name__)


def warn_if_prior_moves(
    source_probs: Tensor, target_probs: Tensor, *, method: str, max_distance: float = 0.1
) -> bool:
    """Warn if a class is predicted more often in one domain than in the other.

    Making the features of both domains alike is right if both have the same class shares. Under
    label shift it moves rows of one class onto another (Zhao et al. 2019, "On Learning Invariant
    Representations for Domain Adaptation").

    Args:
        source_probs: Predicted probabilities of source rows, shape ``(rows, num_labels)``; a single
            row with their mean is enough.
        target_probs: The same for target rows.
        method: Name of the method in the warning.
        max_distance: The largest difference in a class's share without a warning.

    Returns:
        Whether it warned.
    """
    source, target = source_probs.float().mean(dim=0), target_probs.float().mean(dim=0)
    distances = (source - target).abs()
    label = int(distances.argmax())
    # NaN, from no rows or broken logits, is not a shift.
    if not bool(distances[label] > max_distance):
        return False
    if not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0:
        logger.warning(
            "%s makes the domains alike, but label %d is predicted with a share of %.2f on source "
            "and %.2f on target rows: under label shift that costs accuracy; balance the classes "
            "of the source rows, or leave the method out",
            method, label, source[label], target[label],
        )  # fmt: skip
    return True


class PriorWatch:
    """Collects predictions by domain, and checks for a shift of the prior every few batches.

    Args:
        method: Name of the method in the warning.
        num_batches: Batches between two checks, each of the batches since the last one. The first
            batches are not checked: the head is still untrained.
        max_distance: As in :func:`warn_if_prior_moves`.
    """

    def __init__(self, method: str, *, num_batches: int = 50, max_distance: float = 0.1) -> None:
        self.method = method
        self.num_batches = num_batches
        self.max_distance = max_distance
        self._num_seen = 0
        self._has_warned = False
        self._sums: list[Tensor] = []
        self._counts: list[Tensor] = []

    def __call__(self, batch: LossInputs) -> None:
        """Add a batch."""
        if self._has_warned:
            return
        probs = batch.probs
        masks = [(batch.domain == domain).to(probs.dtype) for domain in (SOURCE, TARGET)]
        sums, counts = [mask @ probs for mask in masks], [mask.sum() for mask in masks]
        if not self._sums:
            self._sums, self._counts = sums, counts
        else:
            self._sums = [a + b for a, b in zip(self._sums, sums, strict=True)]
            self._counts = [a + b for a, b in zip(self._counts, counts, strict=True)]
        self._num_seen += 1
        if self._num_seen % self.num_batches == 0:
            self._check()

    def _check(self) -> None:
        is_first = self._num_seen == self.num_batches
        means = [total / count for total, count in zip(self._sums, self._counts, strict=True)]
        self._sums, self._counts = [], []
        if not is_first:
            self._has_warned = warn_if_prior_moves(
                means[0][None], means[1][None], method=self.method, max_distance=self.max_distance
            )
