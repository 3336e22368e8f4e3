"""The training objective: the task's loss on hard and soft labels, plus a transfer loss."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from xlingual.models.features import FeatureTap
from xlingual.tasks import IGNORE_INDEX, Task, is_labelled
from xlingual.transfer.loss.base import LossInputs, TransferLoss, join_rows, model_inputs

__all__ = ["BatchLoss", "Objective", "num_taught", "soft_loss_per_row"]

_LOSS = "transfer_loss."
_LOSS_FILE = "transfer_loss.safetensors"


def soft_loss_per_row(
    logits: Tensor, soft_labels: Tensor, *, task: Task, kd_temperature: float = 1.0
) -> Tensor:
    r"""Cross-entropy against a teacher's probabilities, zero for rows without any.

    .. math:: \ell_i = -T^2 \sum_c q_{ic}^{(T)} \log \operatorname{softmax}(z_i / T)_c,
              \qquad q^{(T)} \propto q^{1/T}

    Hinton et al. (2015); :math:`T^2` keeps the gradient's scale. Multi-label rows take the binary
    cross-entropy of every label, at :math:`T = 1`.

    Shape:
        logits and soft_labels (batch, num_labels), rows of ``IGNORE_INDEX`` have no soft label;
        returns (batch,).
    """
    taught = has_soft_label(soft_labels)
    teacher = soft_labels.float().clamp(min=0.0)
    if task.name == "multi_label":
        losses = F.binary_cross_entropy_with_logits(logits.float(), teacher, reduction="none")
        return losses.mean(dim=1) * taught
    tempered = teacher.clamp(min=1e-8) ** (1 / kd_temperature)
    tempered = tempered / tempered.sum(dim=1, keepdim=True)
    log_probs = torch.log_softmax(logits.float() / kd_temperature, dim=1)
    return -(kd_temperature**2) * (tempered * log_probs).sum(dim=1) * taught


def has_soft_label(soft_labels: Tensor) -> Tensor:
    """A mask of the rows with a teacher's probabilities, shape (batch,)."""
    return (soft_labels != IGNORE_INDEX).all(dim=1)


def num_taught(batch: Mapping[str, Tensor]) -> Tensor:
    """The number of rows in a batch with a label, hard or soft."""
    labelled = is_labelled(batch["labels"])
    if "soft_labels" in batch:
        labelled = labelled | has_soft_label(batch["soft_labels"]).to(labelled.device)
    return labelled.sum()


class BatchLoss(NamedTuple):
    """The loss of a batch, in parts.

    Attributes:
        task: The sum of the weighted row losses.
        transfer: The transfer loss of the batch, 0 without one.
        metrics: The parts of the transfer loss, and its other metrics for the log.
        outputs: The model's output for the batch's own rows.
    """

    task: Tensor
    transfer: Tensor
    metrics: dict[str, Tensor]
    outputs: Any


class Objective:
    r"""The loss of one batch from one forward pass.

    .. math:: L = \frac{1}{N} \sum_i w_i \left[(1 - \alpha_i)\, \ell_i + \alpha_i\, s_i\right] + R

    with :math:`\ell_i` the task's loss on the hard label, :math:`s_i` that on the soft label,
    :math:`\alpha_i` 0 or 1 if a row has only one of them, and *R* the transfer loss.

    Args:
        model: The model as it is trained, before any wrapper; a transfer loss becomes part of it.
        task: Decides the row loss.
        transfer_loss: Added while training.
        class_weights: Per label, or None.
        label_smoothing: For hard labels.
        soft_label_weight: :math:`\alpha` of rows that have both kinds of label.
        kd_temperature: Softens both sides of soft labels.
        pad_token_id: The tokenizer's; it fills rows that are joined to a longer batch.
    """

    def __init__(
        self,
        model: Any,
        *,
        task: Task,
        transfer_loss: TransferLoss | None = None,
        class_weights: Tensor | None = None,
        label_smoothing: float = 0.0,
        soft_label_weight: float = 0.5,
        kd_temperature: float = 1.0,
        pad_token_id: int,
    ) -> None:
        self.task = task
        self.class_weights = class_weights
        self.label_smoothing = label_smoothing
        self.soft_label_weight = soft_label_weight
        self.kd_temperature = kd_temperature
        self.pad_token_id = pad_token_id
        self.transfer_loss = transfer_loss
        self.tap: FeatureTap | None = None
        if transfer_loss is not None:
            tap = FeatureTap(model)
            transfer_loss.build(hidden_size=tap.hidden_size, num_labels=tap.layer.out_features)
            if transfer_loss.needs_features:
                self.tap = tap
            else:
                tap.remove()
            # Outside the trained module, neither the optimizer nor DDP would see its parameters.
            model.transfer_loss = transfer_loss

    def __call__(
        self, model: nn.Module, inputs: Mapping[str, Tensor], *, step: int, progress: float
    ) -> BatchLoss:
        """Run the model on a batch and compute its loss."""
        rows = model_inputs(inputs)
        size = len(inputs["labels"])
        loss = self.transfer_loss if model.training else None
        added = loss.extra_rows(inputs, step=step) if loss is not None else None
        if added is not None:
            rows = join_rows([rows, added], pad_token_id=self.pad_token_id)
        outputs = model(**rows)
        logits = outputs.logits
        features = self.tap.take() if self.tap is not None else None
        outputs.logits = logits[:size]
        regularizer, metrics = logits.new_zeros(()), {}
        if loss is not None:
            regularizer = loss(
                LossInputs(
                    logits=logits[:size],
                    labels=inputs["labels"],
                    domain=inputs.get("domain", torch.zeros_like(inputs["labels"])),
                    features=None if features is None else features[:size],
                    extra_logits=None if added is None else logits[size:],
                    extra_features=None if added is None or features is None else features[size:],
                    progress=progress,
                )
            )
            metrics = loss.metrics(regularizer)
        row_losses = self._row_losses(logits[:size], inputs)
        if loss is not None:
            row_losses = loss.scale_rows(row_losses, inputs)
        return BatchLoss(row_losses.sum(), regularizer, metrics, outputs)

    def split_state(
        self, model: nn.Module, state: dict[str, Tensor] | None, folder: str | Path
    ) -> dict[str, Tensor] | None:
        """Separate a transfer loss from the model's state; a checkpoint gets a file for it.

        Args:
            model: The model that is about to be saved.
            state: Its state if it was gathered already, else None.
            folder: Where it is saved; a checkpoint needs the loss to resume, a result does not.

        Returns:
            The state without the loss; ``state`` as given if there is nothing to leave out.
        """
        loss = self.transfer_loss
        if loss is None or not loss.state_dict():
            return state
        if state is None:
            state = model.state_dict()
        own = {name: tensor for name, tensor in state.items() if _LOSS in name}
        if Path(folder).name.startswith("checkpoint-"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            plain = {name.split(_LOSS, 1)[1]: t.contiguous() for name, t in own.items()}
            save_file(plain, Path(folder) / _LOSS_FILE)
        return {name: tensor for name, tensor in state.items() if name not in own}

    def load_state(self, checkpoint: str | Path) -> None:
        """Load the parameters of a transfer loss from a checkpoint."""
        path = Path(checkpoint) / _LOSS_FILE
        if self.transfer_loss is not None and path.is_file():
            self.transfer_loss.load_state_dict(load_file(path))

    def _row_losses(self, logits: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
        labels, weights = inputs["labels"], self.class_weights
        losses = self.task.loss_per_row(
            logits,
            labels,
            class_weights=None if weights is None else weights.to(labels.device),
            label_smoothing=self.label_smoothing,
        )
        if "soft_labels" in inputs:
            soft_labels = inputs["soft_labels"]
            soft = soft_loss_per_row(
                logits, soft_labels, task=self.task, kd_temperature=self.kd_temperature
            )
            both = is_labelled(labels) & has_soft_label(soft_labels)
            share = torch.where(both, self.soft_label_weight, 1.0)
            losses = losses * torch.where(both, 1 - share, 1.0) + share * soft
        return losses * inputs.get("weight", 1.0)
