"""The last step of saving a trainer's model: complete the folder, check it, read it back."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from accelerate import Accelerator
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from xlingual.config.training import TransferArguments
from xlingual.models.adapters import complete_saved_model
from xlingual.saving.completeness import check_complete
from xlingual.saving.readback import check_read_back, probe_batch
from xlingual.tasks import Task

__all__ = ["SavedTrainer", "finish_saved"]

logger = logging.getLogger(__name__)

_NUM_ROWS = 4  # of each set


class SavedTrainer(Protocol):
    """The part of a trainer that the checks of a saved model need; ``TransferTrainer`` is one.

    Attributes:
        args: Says whether a base is saved beside an adapter, and whether the folder is read back.
        model: The trained model in its wrappers.
        accelerator: Unwraps the model.
        task: Names the class that loads the folder.
        new_parameters: Names of newly initialised parameters.
        processing_class: The tokenizer.
        train_dataset: Encoded rows to compare predictions on, or None.
        eval_dataset: The same, one set or several by name.
        is_fsdp_enabled: Whether FSDP shards the model.
        is_deepspeed_enabled: Whether DeepSpeed may shard the model.
    """

    args: TransferArguments
    model: Any
    accelerator: Accelerator
    task: Task
    new_parameters: frozenset[str]
    processing_class: PreTrainedTokenizerBase
    train_dataset: Any
    eval_dataset: Any
    is_fsdp_enabled: bool
    is_deepspeed_enabled: bool


def finish_saved(
    trainer: SavedTrainer, folder: Path, state: Mapping[str, Tensor] | None, *, is_final: bool
) -> None:
    """Make a saved folder self-contained, and refuse it if it has lost anything.

    Args:
        trainer: The trainer that has written its model there, on the main process.
        folder: The folder.
        state: The full state if it was gathered; empty if DeepSpeed keeps its shards.
        is_final: Whether it is a result, which is also read back, or a checkpoint, which is not.

    Raises:
        SaveError: A parameter is missing, or the folder predicts differently from the model.
    """
    args, model = trainer.args, trainer.accelerator.unwrap_model(trainer.model)
    if is_final:
        complete_saved_model(model, folder, save_base=args.save_base_model)
    is_sharded = trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled
    if state is not None and not state:
        logger.warning("the shards in %s are not checked: merge them and load the result", folder)
        return
    check_complete(
        model,
        folder,
        new_parameters=trainer.new_parameters,
        state=state if is_sharded else None,
    )
    if not is_final or not args.verify_save:
        return
    if is_sharded:
        logger.info("the model is in shards: its folder is checked but not read back")
        return
    check_read_back(
        model,
        folder,
        batch=probe_batch(trainer.processing_class, _rows(trainer)),
        auto_class=trainer.task.auto_class,
    )


def _rows(trainer: SavedTrainer) -> list[dict[str, Any]]:
    sets = trainer.eval_dataset
    sets = [trainer.train_dataset, *(sets.values() if isinstance(sets, dict) else [sets])]
    return [rows[i] for rows in sets if rows is not None for i in range(min(_NUM_ROWS, len(rows)))]
