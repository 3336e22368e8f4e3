"""An output file whose writing can be killed at any moment and resumed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from xlingual.errors import OutputError
from xlingual.inference.output_formats import Converter
from xlingual.writing import write_json

__all__ = ["PartFile", "fingerprint"]

_SAMPLE = 1 << 20


def fingerprint(path: Path) -> dict[str, Any]:
    """The size of a file and the SHA-256 of its first and last MiB, to tell it from another."""
    size = path.stat().st_size
    digest = hashlib.sha256()
    with path.open("rb") as file:
        digest.update(file.read(_SAMPLE))
        if size > _SAMPLE:
            file.seek(max(_SAMPLE, size - _SAMPLE))
            digest.update(file.read(_SAMPLE))
    return {"size": size, "sha256": digest.hexdigest()}


class PartFile:
    """``out.jsonl.part`` with its record ``out.jsonl.part.json``, renamed when complete.

    The rows of a chunk go to the disk first, then the record (rows and bytes so far), which is
    replaced by a rename. On resume, whatever follows the recorded bytes is cut off and predicted
    again: no row is lost or duplicated. Chunks begin at the same rows as before, so the resumed
    file is identical, byte for byte.

    Args:
        target: The final name.
        origin: The origin of the output, which must be the same when resumed.
        resume: Continue an unfinished output; begin if there is none.
        overwrite: Overwrite a finished output, and discard an unfinished one.
        convert: Makes the output from the complete rows; None if they are the output.

    Raises:
        OutputError: An output exists and neither flag is given, an unfinished one has another
            origin or is being written by another process, or the output cannot be written.
    """

    def __init__(
        self,
        target: Path,
        *,
        origin: Mapping[str, Any],
        resume: bool,
        overwrite: bool,
        convert: Converter | None = None,
    ) -> None:
        self.target = target
        self.path = target.with_name(f"{target.name}.part")
        self.record_path = target.with_name(f"{target.name}.part.json")
        self.origin = dict(origin)
        self.convert = convert
        self.num_rows = 0
        self.num_bytes = 0
        self.counts: dict[str, int] = {}
        self._file: IO[bytes] | None = None
        self._refuse_existing(resume=resume, overwrite=overwrite)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            self.path.touch()
            self._file = self.path.open("r+b")
            self._lock(self._file)
            if resume and self.record_path.exists():
                self._read_record()
            else:
                self.record_path.unlink(missing_ok=True)
            self._file.truncate(self.num_bytes)
            self._file.seek(self.num_bytes)
            self._write_record()
        except OSError as error:
            self.close()
            raise error if isinstance(error, OutputError) else self._failure(error) from error

    def __enter__(self) -> PartFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def append(self, lines: bytes, *, num_rows: int, counts: Mapping[str, int]) -> None:
        """Append a chunk of whole lines, with the counts up to its end.

        Raises:
            OutputError: It cannot be written; recorded rows are safe.
        """
        assert self._file is not None
        try:
            self._file.write(lines)
            self._file.flush()
            os.fsync(self._file.fileno())
            self.num_rows += num_rows
            self.num_bytes += len(lines)
            self.counts = dict(counts)
            self._write_record()
        except OSError as error:
            raise self._failure(error) from error

    def finish(self) -> None:
        """Convert the output to its format, and give it its final name.

        Raises:
            OutputError: It cannot be written, or does not fit the format; the rows are safe.
        """
        try:
            if self.convert is not None:
                beside = self.target.with_name(f"{self.target.name}.new")
                self.convert(self.path, beside)  # still locked
                self.close()
                os.replace(beside, self.target)
                self.path.unlink()
            else:
                self.close()
                os.replace(self.path, self.target)
            self.record_path.unlink(missing_ok=True)
        except OutputError as error:
            raise OutputError(
                f"{error}; {self.path} holds all {self.num_rows:,} rows as JSON Lines"
            ) from error
        except OSError as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """Close the file; buffered rows that a full disk refuses are predicted again on resume."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None

    def _refuse_existing(self, *, resume: bool, overwrite: bool) -> None:
        if self.target.is_dir():
            raise OutputError(f"{self.target} is a folder; expected the name of a file")
        if self.target.exists() and not overwrite:
            raise OutputError(
                f"{self.target} already exists; give another name, or overwrite it with "
                "--overwrite_output"
            )
        if self.path.exists() and not (resume or overwrite):
            raise OutputError(
                f"{self.path} is left from an unfinished run; continue it with --resume, or start "
                "over with --overwrite_output"
            )

    def _lock(self, file: IO[bytes]) -> None:
        """Take a lock, which ends with the process: a scheduler may start a second one too soon."""
        try:
            import fcntl
        except ImportError:  # Windows
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputError(
                f"another process is writing {self.path}; wait for it, or stop it"
            ) from error

    def _read_record(self) -> None:
        try:
            record = json.loads(self.record_path.read_text(encoding="utf-8"))
            num_rows, num_bytes = int(record["rows"]), int(record["bytes"])
            origin, counts = record["origin"], record["counts"]
        except (ValueError, KeyError, TypeError) as error:
            raise OutputError(
                f"{self.record_path} cannot be read ({error}); start over with --overwrite_output"
            ) from error
        keys = sorted({*origin, *self.origin})
        changed = [key for key in keys if origin.get(key) != self.origin.get(key)]
        if changed:
            raise OutputError(
                f"{self.path} was started with another {', '.join(changed)}; use the same, or "
                "start over with --overwrite_output"
            )
        there = self.path.stat().st_size if self.path.exists() else 0
        if there < num_bytes:
            raise OutputError(
                f"{self.path} has {there:,} bytes, but {num_bytes:,} were written: something else "
                "changed it; start over with --overwrite_output"
            )
        self.num_rows, self.num_bytes, self.counts = num_rows, num_bytes, counts

    def _write_record(self) -> None:
        content = {
            "rows": self.num_rows,
            "bytes": self.num_bytes,
            "counts": self.counts,
            "origin": self.origin,
        }
        write_json(self.record_path, content)

    def _failure(self, error: OSError) -> OutputError:
        safe = f"; {self.num_rows:,} rows are safe in {self.path}" if self.num_rows else ""
        return OutputError(
            f"cannot write {self.target}: {error.strerror or error}{safe}; fix this, and continue "
            "with --resume"
        )
