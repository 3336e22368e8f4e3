"""The trainer's own callbacks: the sampler's epoch, parts of the loss, averages, embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor
from transformers import Trainer, TrainerCallback

from xlingual.transfer.loop.averaging import WeightAverage, snapshot_steps
from xlingual.transfer.model.embedding_propagation import propagate_embeddings

__all__ = ["AverageWeights", "LossParts", "PropagateEmbeddings", "SetEpoch"]


class SetEpoch(TrainerCallback):
    """Tells the sampler which epoch begins.

    The data loader does so too, but does not reach through the two wrappers that a resumed,
    distributed run puts around the batch sampler; the order would then be that of epoch 0.
    """

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Pass the epoch on."""
        if self.trainer.train_sampler is not None:
            self.trainer.train_sampler.set_epoch(int(state.epoch))


class LossParts(TrainerCallback):
    """Averages the parts of the loss and other metrics of batches between two lines of the log.

    The sums stay on the device, so that training does not wait for it in between. As with the loss
    itself, a resumed run starts a new mean.
    """

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Discard what an earlier run has not logged."""
        self._sums = {}

    def add(self, values: Mapping[str, Tensor], *, weight: float) -> None:
        """Add a batch.

        Args:
            values: Scalars by name; values that are not finite are left out of the mean.
            weight: The batch's share of its step.
        """
        stacked = torch.stack([value.float() for value in values.values()])
        is_finite = stacked.isfinite()
        counted = torch.stack([stacked.where(is_finite, 0.0), is_finite.float()], dim=1) * weight
        for name, pair in zip(values, counted, strict=True):
            self._sums[name] = self._sums[name] + pair if name in self._sums else pair

    def take_means(self, accelerator: Accelerator) -> dict[str, float]:
        """Return the means over all processes and start again; called on every process.

        A name without a single finite value is left out.
        """
        if not self._sums:
            return {}
        names = list(self._sums)
        totals: Any = accelerator.reduce(torch.stack(list(self._sums.values())), reduction="sum")
        self._sums = {}
        return {
            name: total / weight
            for name, (total, weight) in zip(names, totals.tolist(), strict=True)
            if weight
        }


class AverageWeights(TrainerCallback):
    """Collects snapshots in the last half of a run, and ends it with their mean.

    Args:
        trainer: The trainer of the model, which is unwrapped from Accelerate's wrappers.
        average: Collects the snapshots.
    """

    def __init__(self, trainer: Trainer, average: WeightAverage) -> None:
        self.trainer = trainer
        self.average = average

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Take a snapshot where one is due."""
        if state.global_step in snapshot_steps(state.max_steps):
            self.average.update(self._model)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Copy the mean into the model."""
        self.average.apply_to(self._model)

    @property
    def _model(self) -> Any:
        return self.trainer.accelerator.unwrap_model(self.trainer.model)


class PropagateEmbeddings(TrainerCallback):
    """Ends a run by moving the embeddings of unseen tokens as their neighbours moved.

    Args:
        trainer: The trainer of the model.
        table: The embedding table of the model before training.
    """

    def __init__(self, trainer: Trainer, table: torch.Tensor) -> None:
        self.trainer = trainer
        self.before = table.detach().clone()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Move the embeddings."""
        model: Any = self.trainer.accelerator.unwrap_model(self.trainer.model)
        table = model.get_input_embeddings().weight
        rows: Any = self.trainer.train_dataset
        is_seen = torch.zeros(len(table), dtype=torch.bool, device=table.device)
        for column in {"input_ids", "view_input_ids"} & set(rows.column_names):
            for ids in rows[column]:
                is_seen[ids] = True
        before = self.before.to(table.device)
        with torch.no_grad():
            table.copy_(propagate_embeddings(before, table.detach(), is_seen=is_seen))
