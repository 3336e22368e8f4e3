"""Folders that are written beside and renamed, so that a crash leaves the old content intact."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from accelerate import Accelerator
from transformers import TrainerState, TrainingArguments

from xlingual.errors import SaveError
from xlingual.writing import write_errors

__all__ = ["CheckpointedRun", "clear_unfinished", "folder_beside", "whole_checkpoint"]

# A push to a hub skips names with this prefix, and no search for checkpoints finds them.
_BESIDE = "_writing"
_UNVERIFIED = "_unverified"
_REPLACED = "replaced-"
_STATE = "trainer_state.json"

# Files of an earlier result; a new one of another kind does not overwrite all of them.
_RESULT_FILES = (
    "adapter_config.json", "adapter_model.safetensors", "config.json", "model*.safetensors",
    "model.safetensors.index.json",
)  # fmt: skip
_ADVICE = (
    "what was there before is intact: free disk space or fix the permissions, and continue with "
    "--resume_from_checkpoint true"
)


def clear_unfinished(folder: str | Path) -> None:
    """Remove what a killed run left half-written, and restore what it had not replaced yet."""
    beside = Path(folder) / _BESIDE
    for replaced in beside.glob(f"{_REPLACED}*"):
        target = Path(folder) / replaced.name.removeprefix(_REPLACED)
        if not target.exists():
            replaced.rename(target)
    shutil.rmtree(beside, ignore_errors=True)


@contextmanager
def folder_beside(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder for a result; its files are moved into place once all are written.

    Raises:
        OutputError: The folder cannot be written; it is left as it was.
        SaveError: The result did not pass a check; it is kept in ``_unverified``.
    """
    beside = folder / _BESIDE / "result"
    try:
        with write_errors(folder, advice=_ADVICE):
            clear_unfinished(folder)
            beside.mkdir(parents=True)
            yield beside
            _publish(beside, folder)
    except SaveError as error:
        kept = folder / _UNVERIFIED
        shutil.rmtree(kept, ignore_errors=True)
        beside.rename(kept)
        raise SaveError(f"{error} (what was written is kept in {kept})") from error
    finally:
        clear_unfinished(folder)
    shutil.rmtree(folder / _UNVERIFIED, ignore_errors=True)


def _publish(beside: Path, folder: Path) -> None:
    new = {path.name for path in beside.iterdir()}
    for path in sorted(beside.iterdir()):
        if path.is_dir():
            shutil.rmtree(folder / path.name, ignore_errors=True)
        os.replace(path, folder / path.name)
    for pattern in _RESULT_FILES:  # stale ones would be loaded together with the new ones
        for stale in folder.glob(pattern):
            if stale.name not in new:
                stale.unlink()


class CheckpointedRun(Protocol):
    """The part of a trainer that writing a checkpoint needs; transformers' ``Trainer`` has it."""

    @property
    def args(self) -> TrainingArguments:
        """Says whether this process saves."""

    @property
    def state(self) -> TrainerState:
        """Names the best checkpoint."""

    @property
    def accelerator(self) -> Accelerator:
        """Synchronises the processes."""


@contextmanager
def whole_checkpoint(run: CheckpointedRun, target: Path) -> Iterator[Path]:
    """Yield a temporary folder for a checkpoint; it is renamed once every process has written.

    Args:
        run: The run whose checkpoint it is; call this on all its processes.
        target: The folder of the checkpoint, ``.../checkpoint-8``.

    Yields:
        The folder that must hold ``checkpoint-8`` at the end of the block.

    Raises:
        OutputError: The disk is full or cannot be written; earlier checkpoints are intact.
    """
    folder, accelerator = target.parent, run.accelerator
    beside = folder / _BESIDE / target.name
    if accelerator.is_local_main_process:
        clear_unfinished(folder)
    accelerator.wait_for_everyone()
    try:
        with write_errors(target, advice=_ADVICE):
            yield beside.parent
            _name_best(run, folder, beside)
    except BaseException:
        if accelerator.is_local_main_process:
            clear_unfinished(folder)
        raise
    accelerator.wait_for_everyone()
    with write_errors(target, advice=_ADVICE):
        # The main process renames first. On a shared disk, other nodes then find nothing left to
        # rename; on local disks they find their own random states.
        if accelerator.is_main_process:
            _rename(beside, target)
        accelerator.wait_for_everyone()
        if accelerator.is_local_main_process and beside.exists():
            _rename(beside, target)
        accelerator.wait_for_everyone()
        if accelerator.is_local_main_process:
            clear_unfinished(folder)


def _name_best(run: CheckpointedRun, folder: Path, beside: Path) -> None:
    """Record the best checkpoint under its final name, in the run's state and on disk."""
    state = run.state
    if not state.best_global_step:
        return
    best = folder / f"checkpoint-{state.best_global_step}"
    if best.name == beside.name or best.exists():
        state.best_model_checkpoint = str(best)
    if run.args.should_save:
        state.save_to_json(str(beside / _STATE))


def _rename(beside: Path, target: Path) -> None:
    if target.exists():  # a folder that holds files cannot be replaced in one step
        target.rename(beside.parent / f"{_REPLACED}{target.name}")
    beside.rename(target)
