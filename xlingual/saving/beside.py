"""Folders that are written beside and renamed: a crash leaves what was there before whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers.trainer_utils import rotate_checkpoints

from xlingual.errors import OutputError, SaveError, XlingualError

__all__ = ["clear_unfinished", "folder_beside", "whole_checkpoint", "write_errors"]

# A push to a hub leaves out names that begin so, and no search for checkpoints finds them.
_BESIDE = "_writing"
_UNVERIFIED = "_unverified"
_REPLACED = "replaced-"
_STATE = "trainer_state.json"

# Of a result that is replaced; the new one may be of another kind and not have them.
_RESULT_FILES = (
    "adapter_config.json", "adapter_model.safetensors", "config.json", "model*.safetensors",
    "model.safetensors.index.json",
)  # fmt: skip
_TORCH_WRITER = ("PytorchStreamWriter", "inline_container", "unexpected pos", "iostream error")


@contextmanager
def write_errors(target: str | Path) -> Iterator[None]:
    """Turn what a full or broken disk makes the writers raise into one error.

    Raises:
        OutputError: Says where and why, and how to go on.
    """
    try:
        yield
    except XlingualError:
        raise
    except (OSError, SafetensorError, RuntimeError) as error:
        text = str(error).strip().splitlines() or [type(error).__name__]
        is_writer = any(sign in str(error) for sign in _TORCH_WRITER)
        if isinstance(error, RuntimeError) and not is_writer:
            raise
        raise OutputError(
            f"{target} cannot be written ({text[0]}); what was there before is whole: free space "
            "on the disk or mend its permissions, and go on with --resume_from_checkpoint true"
        ) from error


def clear_unfinished(folder: str | Path) -> None:
    """Remove what a run that was killed had begun to write, and keep what it had not replaced."""
    beside = Path(folder) / _BESIDE
    for replaced in beside.glob(f"{_REPLACED}*"):
        target = Path(folder) / replaced.name.removeprefix(_REPLACED)
        if not target.exists():
            replaced.rename(target)
    shutil.rmtree(beside, ignore_errors=True)


@contextmanager
def folder_beside(folder: Path) -> Iterator[Path]:
    """A place to write a result in; its files take their places when all of them are whole.

    Raises:
        OutputError: It cannot be written; the folder is as it was.
        SaveError: What was written did not pass a check; it is kept below ``_unverified``.
    """
    beside = folder / _BESIDE / "result"
    try:
        with write_errors(folder):
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
    for pattern in _RESULT_FILES:  # else they would be loaded together with the new ones
        for stale in folder.glob(pattern):
            if stale.name not in new:
                stale.unlink()


@contextmanager
def whole_checkpoint(trainer: Any, trial: Any) -> Iterator[None]:
    """Let ``Trainer._save_checkpoint`` write beside; rename when every process has written.

    The rotation of ``save_total_limit`` and a push to the hub come after the renaming.

    Raises:
        OutputError: The disk is full or cannot be written; earlier checkpoints are whole.
    """
    folder = Path(trainer._get_output_dir(trial=trial))
    target = folder / f"checkpoint-{trainer.state.global_step}"
    beside = folder / _BESIDE / target.name
    accelerator = trainer.accelerator
    if accelerator.is_local_main_process:
        clear_unfinished(folder)
    accelerator.wait_for_everyone()
    pushed: list[str] = []
    trainer._get_output_dir = lambda trial: str(beside.parent)
    trainer._push_from_checkpoint = pushed.append
    try:
        with write_errors(target):
            yield
            _name_best(trainer, folder, beside)
    except BaseException:
        if accelerator.is_local_main_process:
            clear_unfinished(folder)
        raise
    finally:
        del trainer._get_output_dir, trainer._push_from_checkpoint
    accelerator.wait_for_everyone()
    with write_errors(target):
        # The main process first: on a shared disk the first processes of other nodes find
        # nothing left to rename, on a disk of their own they find their random states.
        if accelerator.is_main_process:
            _rename(beside, target)
        accelerator.wait_for_everyone()
        if accelerator.is_local_main_process and beside.exists():
            _rename(beside, target)
        accelerator.wait_for_everyone()
        if accelerator.is_local_main_process:
            clear_unfinished(folder)
    if pushed:
        trainer._push_from_checkpoint(str(target))
    if trainer.args.should_save:
        rotate_checkpoints(
            output_dir=str(folder),
            save_total_limit=trainer.args.save_total_limit,
            best_model_checkpoint=trainer.state.best_model_checkpoint,
            use_mtime=True,
        )


def _name_best(trainer: Any, folder: Path, beside: Path) -> None:
    """The best checkpoint by the name it will have, in the state of the run and on disk."""
    state = trainer.state
    if not state.best_global_step:
        return
    best = folder / f"checkpoint-{state.best_global_step}"
    if best.name == beside.name or best.exists():
        state.best_model_checkpoint = str(best)
    if trainer.args.should_save:
        state.save_to_json(str(beside / _STATE))


def _rename(beside: Path, target: Path) -> None:
    if target.exists():  # a folder that holds files cannot be replaced in one step
        target.rename(beside.parent / f"{_REPLACED}{target.name}")
    beside.rename(target)
