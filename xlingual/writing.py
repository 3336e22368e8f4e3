"""Atomic writes: a temporary file or folder is renamed at the end, so a crash loses nothing."""

from __future__ import annotations

import glob
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from xlingual.errors import OutputError, XlingualError

__all__ = ["check_empty", "new_file", "new_folder", "write_errors", "write_json"]

_TORCH_WRITER = ("PytorchStreamWriter", "inline_container", "unexpected pos", "iostream error")


@contextmanager
def write_errors(
    target: str | Path, *, advice: str = "choose a writable place with enough free space"
) -> Iterator[None]:
    """Turn the exceptions that writers raise on a full or broken disk into one error.

    Args:
        target: The file or folder that is written.
        advice: What the message tells the user to do.

    Raises:
        OutputError: The message says where and why writing failed, and what to do.
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
        raise OutputError(f"{target} cannot be written ({text[0]}); {advice}") from error


def check_empty(output: Path) -> None:
    """Refuse an output that already exists, unless it is an empty folder.

    Raises:
        OutputError: It is a file, or a folder with files.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise OutputError(
            f"{output} is not an empty folder, and nothing is overwritten; give another output"
        )


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; it replaces ``path`` on success, else it is removed.

    The file is synced before it is renamed: a power cut leaves the old file or the new one.
    """
    temporary = _temporary(path)
    try:
        yield temporary
        with temporary.open("r+b") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(output: Path, *, replace: bool = False) -> Iterator[Path]:
    """Yield an empty folder beside ``output``; it replaces it on success, else it is removed.

    Args:
        output: The final place: a folder that is empty or does not exist.
        replace: Whether an existing folder with files is replaced.

    Raises:
        OutputError: It cannot be written.
    """
    temporary = _temporary(output)
    try:
        with write_errors(output):
            for left in output.parent.glob(f".{glob.escape(output.name)}.*.part"):
                if not _is_running(left.name.removesuffix(".part").rpartition(".")[2]):
                    shutil.rmtree(left, ignore_errors=True)  # left by a killed process
            temporary.mkdir(parents=True)
            yield temporary
            old = temporary.with_suffix(".old")
            if output.exists() and replace:
                output.rename(old)
            elif output.exists():
                output.rmdir()
            temporary.rename(output)
            shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_json(path: str | Path, content: Any) -> None:
    """Write JSON atomically, in UTF-8 and never as escapes."""
    with new_file(Path(path)) as temporary:
        temporary.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", "utf-8")


def _temporary(path: Path) -> Path:
    """A hidden temporary name of this process; a push to a hub skips names ending in ``.part``."""
    return path.absolute().with_name(f".{path.absolute().name}.{os.getpid()}.part")


def _is_running(process_id: str) -> bool:
    if not process_id.isdigit() or os.name != "posix":  # elsewhere signal 0 does more than ask
        return True
    try:
        os.kill(int(process_id), 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return int(process_id) != os.getpid()
