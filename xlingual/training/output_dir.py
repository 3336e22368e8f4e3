"""The folder of a run: created, or refused before any work, and its checkpoint to resume from."""

from __future__ import annotations

import json
import logging
import os
import shutil
from pathlib import Path

from accelerate import PartialState

from xlingual.config.training import TransferArguments
from xlingual.errors import ConfigError, OutputError
from xlingual.saving import clear_unfinished

__all__ = ["prepare_output_dir"]

logger = logging.getLogger(__name__)


def prepare_output_dir(args: TransferArguments) -> str | None:
    """Create the output folder, or refuse it before any work is done.

    Returns:
        The checkpoint to resume from, or None to start from the beginning: a run that was killed
        before its first checkpoint starts again.

    Raises:
        OutputError: It cannot be written, or it holds files and neither ``--overwrite_output`` nor
            ``--resume_from_checkpoint`` was given.
        ConfigError: The checkpoint to resume from is not there.
    """
    folder = Path(args.output_dir or ".")
    resume = args.resume_from_checkpoint
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"--output_dir {folder} is a file; give a folder")
    # A run that was refused for its data leaves only its rejected rows, and may start again.
    holds = folder.is_dir() and any(p.name != "rejected_rows.jsonl" for p in folder.iterdir())
    if holds and not (args.overwrite_output or resume):
        raise OutputError(
            f"--output_dir {folder} is not empty, and nothing is overwritten unasked; give another "
            "folder, --resume_from_checkpoint true to continue with it, or --overwrite_output true"
        )
    PartialState().wait_for_everyone()  # no process may fill the folder before all have checked it
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"--output_dir {folder} cannot be created: {error.strerror}") from error
    if not os.access(folder, os.W_OK):
        raise OutputError(f"--output_dir {folder} cannot be written; check its permissions")
    if args.overwrite_output and not resume and PartialState().is_main_process:
        for checkpoint in folder.glob("checkpoint-*"):
            shutil.rmtree(checkpoint, ignore_errors=True)
    if PartialState().is_main_process:
        clear_unfinished(folder)
    PartialState().wait_for_everyone()
    return _checkpoint(folder, str(resume)) if resume else None


def _last_whole_checkpoint(folder: Path) -> str | None:
    """The newest complete checkpoint; its state is the last file that is written."""
    steps = {}
    for state in folder.glob("checkpoint-*/trainer_state.json"):
        try:
            steps[int(json.loads(state.read_text(encoding="utf-8"))["global_step"])] = state.parent
        except (ValueError, KeyError):
            logger.warning("%s is incomplete, and cannot be resumed from", state.parent)
    return str(steps[max(steps)]) if steps else None


def _checkpoint(folder: Path, resume: str) -> str | None:
    if resume.lower() == "true":
        last = _last_whole_checkpoint(folder)
        logger.info("resuming from %s", last or "the beginning: there is no checkpoint yet")
        return last
    if not Path(resume, "trainer_state.json").is_file():
        raise ConfigError(
            f"--resume_from_checkpoint {resume}: expected true, or a checkpoint-N folder with a "
            "trainer_state.json in it"
        )
    return resume
