"""``CheckpointingTrainer``: saves to a temporary folder, checks it, and renames it."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

from torch import nn
from transformers import PreTrainedTokenizerBase
from transformers.trainer_utils import rotate_checkpoints

from xlingual.config.training import TransferArguments
from xlingual.saving import finish_saved, folder_beside, whole_checkpoint
from xlingual.tasks import Task
from xlingual.training.objective import Objective
from xlingual.training.pushing import PushingTrainer
from xlingual.transfer.loop.averaging import WeightAverage

__all__ = ["CheckpointingTrainer"]


class CheckpointingTrainer(PushingTrainer):
    """A ``Trainer`` whose earlier checkpoints stay intact if writing a later one fails.

    ``Trainer`` writes a checkpoint, pushes it and removes old ones in one method. Here that method
    writes to a temporary folder; pushing and removing wait until the folder is renamed.
    """

    args: TransferArguments
    model: Any  # a PreTrainedModel, or a PeftModel around one
    processing_class: PreTrainedTokenizerBase
    task: Task
    new_parameters: frozenset[str]
    objective: Objective
    average: WeightAverage
    _unfinished: Path | None = None  # the temporary folder, while a checkpoint is written

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

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        """Write to a temporary folder, check that nothing is lost, then replace the old files."""
        folder = Path(output_dir or self.args.output_dir or ".")
        is_final = not folder.name.startswith("checkpoint-")
        is_beside = is_final and self.args.should_save  # a checkpoint is written beside already
        with folder_beside(folder) if is_beside else nullcontext(folder) as to:
            state_dict = self.objective.split_state(self.model, state_dict, to)
            super()._save(str(to), state_dict)
            if self.args.should_save:
                if not is_final:
                    self.average.save(to)
                finish_saved(self, to, state_dict, is_final=is_final)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        self.objective.load_state(resume_from_checkpoint)
        self.average.load(resume_from_checkpoint)
