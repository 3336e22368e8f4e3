"""The last step of saving a trainer's model: complete, checked, read back."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from xlingual.models.adapters import complete_saved_model
from xlingual.saving.completeness import check_complete
from xlingual.saving.readback import check_read_back, probe_batch

__all__ = ["finish_saved"]

logger = logging.getLogger(__name__)

_NUM_ROWS = 4  # of each set


def finish_saved(
    trainer: Any, folder: Path, state: Mapping[str, Tensor] | None, *, is_final: bool
) -> None:
    """Make a folder load by itself, and refuse it where it has lost anything.

    Args:
        trainer: A ``TransferTrainer`` that has written its model there; the main process.
        folder: Where.
        state: The whole state where it was gathered; empty where DeepSpeed keeps its shards.
        is_final: A result, which is also read back; a checkpoint is not.

    Raises:
        SaveError: A parameter is missing, or the folder answers otherwise than the model.
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
    if not is_final or not getattr(args, "verify_save", True):
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


def _rows(trainer: Any) -> list[dict[str, Any]]:
    sets = trainer.eval_dataset
    sets = [trainer.train_dataset, *(sets.values() if isinstance(sets, dict) else [sets])]
    return [rows[i] for rows in sets if rows is not None for i in range(min(_NUM_ROWS, len(rows)))]
