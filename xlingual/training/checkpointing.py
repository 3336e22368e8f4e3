"""``CheckpointingTrainer``: checkpoints are written beside and renamed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn
from transformers.trainer_utils import rotate_checkpoints

from xlingual.saving import whole_checkpoint
from xlingual.training.pushing import PushingTrainer

__all__ = ["CheckpointingTrainer"]


class CheckpointingTrainer(PushingTrainer):
    """A ``Trainer`` whose earlier checkpoints are whole, wherever a later one breaks off.

    ``Trainer`` writes a checkpoint, pushes it and removes old ones in one method. Here that method
    writes into a folder beside; the rest comes after the folder has its name.
    """

    _unfinished: Path | None = None  # the folder beside, while a checkpoint is written there

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._unfinished) if self._unfinished else super()._get_output_dir(trial)

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        if self._unfinished is None:
            super()._push_from_checkpoint(checkpoint_folder)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        target = Path(self._get_output_dir(trial)) / f"checkpoint-{self.state.global_step}"
        with whole_checkpoint(self, target) as self._unfinished:
            try:
                super()._save_checkpoint(model, trial)
            finally:
                self._unfinished = None
        if self.args.push_to_hub:
            self._push_from_checkpoint(str(target))
        if self.args.should_save:
            rotate_checkpoints(
                output_dir=str(target.parent),
                save_total_limit=self.args.save_total_limit,
                best_model_checkpoint=self.state.best_model_checkpoint,
                use_mtime=True,
            )
