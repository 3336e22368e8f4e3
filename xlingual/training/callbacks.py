"""What the trainer does around its steps: the sampler's epoch, averages, and embeddings."""

from __future__ import annotations

from typing import Any

import torch
from transformers import Trainer, TrainerCallback

from xlingual.transfer.loop.averaging import WeightAverage, snapshot_steps
from xlingual.transfer.model.embedding_propagation import propagate_embeddings

__all__ = ["AverageWeights", "PropagateEmbeddings", "SetEpoch"]


class SetEpoch(TrainerCallback):
    """Tells the sampler which epoch begins.

    The loader does so too, but not below the two wrappers that a resumed, distributed run puts
    around the batch sampler; there the order would be that of epoch 0.
    """

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Pass the epoch on."""
        if self.trainer.train_sampler is not None:
            self.trainer.train_sampler.set_epoch(int(state.epoch))


class AverageWeights(TrainerCallback):
    """Collects snapshots of the run's last half and ends it with their mean.

    Args:
        trainer: Whose model it is; the model proper, below the wrappers of Accelerate.
    """

    def __init__(self, trainer: Trainer, average: WeightAverage) -> None:
        self.trainer = trainer
        self.average = average

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Take a snapshot where one is due."""
        if state.global_step in snapshot_steps(state.max_steps):
            self.average.update(self._model)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Keep the mean."""
        self.average.apply_to(self._model)

    @property
    def _model(self) -> Any:
        return self.trainer.accelerator.unwrap_model(self.trainer.model)


class PropagateEmbeddings(TrainerCallback):
    """Ends a run by moving the embeddings of tokens it never saw as their neighbours moved.

    Args:
        trainer: Whose model it is.
        table: The embedding table of the model before training.
    """

    def __init__(self, trainer: Trainer, table: torch.Tensor) -> None:
        self.trainer = trainer
        self.before = table.detach().clone()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Move them."""
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
