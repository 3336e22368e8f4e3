"""The loss seam: the base class ``TransferLoss``, its inputs, and sums of several losses."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from xlingual.data.collating import VIEW_PREFIX

__all__ = ["CombinedLoss", "LossInputs", "TransferLoss", "model_inputs", "view_inputs"]

# Columns of a batch that the model does not read; views go through it as rows of their own.
_OWN_COLUMNS = frozenset({"labels", "domain", "group", "weight", "soft_labels"})


def model_inputs(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The columns of a batch that the model reads."""
    return {
        name: values
        for name, values in inputs.items()
        if name not in _OWN_COLUMNS and not name.startswith(VIEW_PREFIX)
    }


def view_inputs(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The second views of a batch as the model reads them; empty where the rows have none."""
    return {
        name.removeprefix(VIEW_PREFIX): values
        for name, values in inputs.items()
        if name.startswith(VIEW_PREFIX)
    }


@dataclass(frozen=True)
class LossInputs:
    """One training batch after its forward pass.

    Attributes:
        logits: Logits of the batch's rows, shape ``(batch, num_labels)``.
        labels: Label ids, ``IGNORE_INDEX`` if a row has none.
        domain: 0 for source rows, 1 for target rows, shape ``(batch,)``.
        features: Inputs of the last layer of the head, shape ``(batch, hidden)``; None unless the
            loss has ``needs_features``.
        extra_logits: Logits of the rows that ``extra_rows`` added, in their order; None without
            any.
        extra_features: The features of those rows.
        progress: Share of the training that is done, in [0, 1).
    """

    logits: Tensor
    labels: Tensor
    domain: Tensor
    features: Tensor | None = None
    extra_logits: Tensor | None = None
    extra_features: Tensor | None = None
    progress: float = 0.0

    @property
    def is_multi_label(self) -> bool:
        """Whether each label of a row is a separate decision."""
        return self.labels.dim() > 1

    @property
    def probs(self) -> Tensor:
        """The predicted probabilities, in float32 and without a gradient."""
        logits = self.logits.detach().float()
        return logits.sigmoid() if self.is_multi_label else logits.softmax(dim=1)

    def features_of(self, domain: int) -> Tensor:
        """The features of one domain's rows in float32, shape ``(rows, hidden)``."""
        if self.features is None:
            raise ValueError("expected features; set needs_features = True on the loss")
        return self.features[self.domain == domain].float()


class TransferLoss(nn.Module):
    """Base class of losses added to the task's loss: ``TransferTrainer(transfer_loss=...)``.

    The rows of the batch and the rows that ``extra_rows`` adds go through the model in one forward
    pass, which is safe under DDP and FSDP. A loss with parameters (a domain discriminator) is
    trained by the run's optimizer and is not part of the saved model. The loss applies during
    training only; it is a mean over the rows of one batch on one process.
    """

    needs_features: bool = False

    @property
    def name(self) -> str:
        """Short name for the log, from the class name: ``CoralLoss`` is ``coral``."""
        words = type(self).__name__.removesuffix("Loss")
        return re.sub(r"(?<!^)(?=[A-Z])", "_", words).lower()

    def build(self, *, hidden_size: int, num_labels: int) -> None:
        """Create parameters whose shapes depend on the model; called once, before the optimizer."""

    def extra_rows(self, inputs: Mapping[str, Tensor], *, step: int) -> dict[str, Tensor] | None:
        """Model inputs of extra rows for the forward pass; None if there are none.

        Args:
            inputs: All columns of the batch: model inputs, ``labels``, ``domain``, ``view_*``.
            step: Number of this batch in the whole run, different on every process. A loss that
                draws rows must seed them by it alone, so that a resumed run draws the same.
        """
        return None

    def scale_rows(self, row_losses: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
        """Change the task's row losses before they are summed; most transfer losses do not.

        Args:
            row_losses: Weighted losses, zero for rows without a label, shape ``(batch,)``.
            inputs: All columns of the batch.
        """
        return row_losses

    def forward(self, batch: LossInputs) -> Tensor:
        """The loss of one batch, a scalar."""
        raise NotImplementedError

    def metrics(self, loss: Tensor) -> dict[str, Tensor]:
        """Metrics of the last batch for the log, with the loss itself as ``loss_<name>``.

        Args:
            loss: The result of ``forward`` for the batch.

        Returns:
            Scalars with the same names for every batch; NaN if the batch has no such value.
        """
        return {f"loss_{self.name}": loss.detach()}


class CombinedLoss(TransferLoss):
    """The sum of several losses, each of which sees the extra rows that it added itself.

    Args:
        losses: The losses; each carries its own weight.
        pad_token_id: The tokenizer's; it pads added rows that are shorter than others.
    """

    losses: Any  # a ModuleList does not keep the type of its modules

    def __init__(self, losses: Iterable[TransferLoss], *, pad_token_id: int) -> None:
        super().__init__()
        self.losses = nn.ModuleList(losses)
        self.pad_token_id = pad_token_id
        self.needs_features = any(loss.needs_features for loss in self.losses)
        self._num_added = [0] * len(self.losses)
        self._last: list[Tensor] = []

    def build(self, *, hidden_size: int, num_labels: int) -> None:
        """Build every part."""
        for loss in self.losses:
            loss.build(hidden_size=hidden_size, num_labels=num_labels)

    def extra_rows(self, inputs: Mapping[str, Tensor], *, step: int) -> dict[str, Tensor] | None:
        """The extra rows of all parts, one after the other."""
        added = [loss.extra_rows(inputs, step=step) for loss in self.losses]
        self._num_added = [0 if rows is None else len(rows["input_ids"]) for rows in added]
        parts = [rows for rows in added if rows is not None]
        return join_rows(parts, pad_token_id=self.pad_token_id) if parts else None

    def scale_rows(self, row_losses: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
        """Apply the parts one after the other."""
        for loss in self.losses:
            row_losses = loss.scale_rows(row_losses, inputs)
        return row_losses

    def forward(self, batch: LossInputs) -> Tensor:
        """The sum over the parts."""
        self._last, begin = [], 0
        for loss, num_added in zip(self.losses, self._num_added, strict=True):
            own = slice(begin, begin + num_added)
            part = replace(
                batch,
                extra_logits=_part(batch.extra_logits, own),
                extra_features=_part(batch.extra_features, own),
            )
            self._last.append(loss(part))
            begin += num_added
        return sum(self._last, start=batch.logits.new_zeros(()))

    def metrics(self, loss: Tensor) -> dict[str, Tensor]:
        """The metrics of all parts; a name that several use is numbered, ``loss_coral_1``."""
        parts = [part.metrics(last) for part, last in zip(self.losses, self._last, strict=True)]
        times = Counter(name for part in parts for name in part)
        numbers: Counter[str] = Counter()
        merged = {}
        for name, value in (item for part in parts for item in part.items()):
            numbers[name] += 1
            merged[name if times[name] == 1 else f"{name}_{numbers[name]}"] = value
        return merged


def join_rows(parts: list[dict[str, Tensor]], *, pad_token_id: int) -> dict[str, Tensor]:
    """Concatenate model inputs of different lengths; padding is masked."""
    length = max(part["input_ids"].shape[1] for part in parts)
    fill = {"input_ids": pad_token_id}
    columns = set.intersection(*(set(part) for part in parts))
    return {
        name: torch.cat(
            [
                nn.functional.pad(
                    part[name], (0, length - part[name].shape[1]), value=fill.get(name, 0)
                )
                for part in parts
            ]
        )
        for name in parts[0]
        if name in columns
    }


def _part(rows: Tensor | None, own: slice) -> Tensor | None:
    return None if rows is None or own.start == own.stop else rows[own]
