"""Read csv, tsv and plain lines of text; a bad row costs only itself."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from xlingual.data.readers.headers import apply_names, looks_like_row
from xlingual.data.readers.tables import Row, Table, check_header, list_names
from xlingual.data.readers.text_files import TextFile, inspect_text_file
from xlingual.errors import ColumnError, DataError

__all__ = ["open_delimited", "open_lines"]

logger = logging.getLogger(__name__)

_LONGEST_FIELD = 2**31 - 1  # the largest C long of every platform


@dataclass(frozen=True)
class _Dialect:
    delimiter: str
    quoting: Any = csv.QUOTE_MINIMAL


def open_delimited(
    path: str, *, delimiter: str, names: Sequence[str] = (), encoding: str | None = None
) -> Table:
    """Open a csv (``","``) or tsv (``"\\t"``) file.

    Args:
        path: The file.
        delimiter: The separator; a csv file that uses tabs or semicolons is recognised.
        names: Names of the columns of a file without a header line.
        encoding: Its encoding if it is not UTF-8; ``None`` guesses it.

    Raises:
        DataError: The file is empty, not text, or holds only blank lines.
        ColumnError: Two columns have the same name, or the numbers of columns and names differ.
    """
    file = inspect_text_file(path, encoding=encoding)
    quoting = _tsv_quoting(file) if delimiter == "\t" else csv.QUOTE_MINIMAL
    dialect = _Dialect(delimiter, quoting)
    first = _read_first(file, dialect)
    if len(first) == 1 and delimiter == "," and len(names) != 1:
        for other in "\t;":
            if other in first[0]:
                logger.warning(f"{path}: the columns are separated by {other!r}, not by ','")
                dialect = _Dialect(other)
                first = _read_first(file, dialect)
                break
    if apply_names(first, names, path=path):
        return Table(tuple(names), partial(_read_rows, file, dialect, tuple(names), False))
    named = [name.strip() or f"column_{number}" for number, name in enumerate(first, start=1)]
    if len(set(named)) < len(named) and looks_like_row(named):
        raise ColumnError(
            f"{path} seems to have no header, because its first line looks like a row: "
            f"{list_names(named)}; name its columns with --columns, such as --columns text,label"
        )
    columns = check_header(named, path=path)
    read = partial(_read_rows, file, dialect, columns, True)
    return Table(columns, read, has_header_line=True)


def open_lines(path: str, *, names: Sequence[str] = (), encoding: str | None = None) -> Table:
    """Open a plain text file with one text per line, as the column ``text``.

    If there are several names and the first line has one tab-separated column for each, the file
    is read as those columns.
    """
    file = inspect_text_file(path, encoding=encoding)
    with file.open() as lines:
        num_columns = next(iter(lines), "").count("\t") + 1
    if num_columns == len(names) > 1:
        return open_delimited(path, delimiter="\t", names=names, encoding=encoding)

    def read(_: Sequence[str]) -> Iterator[Row]:
        with file.open() as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip("\r\n"):
                    yield Row(number, {"text": line.strip("\r\n")})

    return Table(("text",), read)


def _read_first(file: TextFile, dialect: _Dialect) -> list[str]:
    for _, fields in _records(file, dialect):
        if isinstance(fields, str):
            raise DataError(f"{file.path}: the first line is {fields}")
        if any(name.strip() for name in fields):
            return [name.lstrip("\ufeff") for name in fields]
    raise DataError(f"{file.path} holds nothing but blank lines; expected a header and rows")


def _read_rows(
    file: TextFile,
    dialect: _Dialect,
    columns: tuple[str, ...],
    has_header: bool,
    _: Sequence[str],
) -> Iterator[Row]:
    is_header = has_header
    for number, fields in _records(file, dialect):
        if isinstance(fields, str):
            yield Row(number, None, fields)
        elif is_header:
            is_header = not any(name.strip() for name in fields)
        elif not fields:
            continue  # a blank line
        elif len(fields) != len(columns):
            found = f"{len(fields)} field{'s' * (len(fields) != 1)}"
            problem = f"{found} where the header has {len(columns)}"
            yield Row(number, None, problem, dialect.delimiter.join(fields))
        else:
            yield Row(number, dict(zip(columns, fields, strict=True)))


class _Lines:
    """Numbered lines, which can put back the lines after a bad quote."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._put_back: list[str] = []  # in reverse
        self._taken: list[str] = []
        self.number = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._put_back.pop() if self._put_back else next(self._lines)
        self._taken.append(line)
        self.number += 1
        return line

    def start_record(self) -> int:
        """Forget the lines of the last record and return the number of the next line."""
        self._taken.clear()
        return self.number + 1

    def keep_first(self) -> str:
        """Put back all lines of the record except the first, which is returned."""
        first, *others = self._taken
        self._put_back.extend(reversed(others))
        self.number -= len(others)
        return first


def _records(file: TextFile, dialect: _Dialect) -> Iterator[tuple[int, list[str] | str]]:
    """Yield the line number of each record and its fields, or a message if it is malformed.

    A quote that is never closed swallows all lines up to the next quote or the end of the file.
    Parsing therefore restarts on the line after the one where the bad record began.
    """
    with _long_fields(), file.open() as text:
        lines = _Lines(iter(text))
        reader = _reader(lines, dialect)
        while True:
            start = lines.start_record()
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                lines.keep_first()
                reader = _reader(lines, dialect)
                yield start, f"not valid as delimited text ({error})"
            else:
                yield start, fields


def _reader(lines: _Lines, dialect: _Dialect) -> Iterator[list[str]]:
    return csv.reader(lines, delimiter=dialect.delimiter, quoting=dialect.quoting, strict=True)


@contextmanager
def _long_fields() -> Iterator[None]:
    """Lift the limit of 131,072 characters per field, which is a setting of the whole process."""
    before = csv.field_size_limit(_LONGEST_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _tsv_quoting(file: TextFile) -> Any:
    """Decide whether the quotes in a tsv file are part of the text or enclose fields.

    Both kinds of file are common. On a line with the usual number of tabs, a field that begins with
    a quote but does not end like a quoted field must be text.
    """
    plain = quoted = 0
    with file.open() as lines:
        num_tabs = next(iter(lines), "").count("\t")
        for line in lines:
            if '"' not in line:
                continue
            fields = line.rstrip("\r\n").split("\t")
            is_open = [field.startswith('"') and not _is_quoted(field) for field in fields]
            if any(is_open):
                plain += len(fields) == num_tabs + 1
                quoted += len(fields) != num_tabs + 1
    return csv.QUOTE_NONE if plain > quoted else csv.QUOTE_MINIMAL


def _is_quoted(field: str) -> bool:
    inner = field[1:-1]
    return len(field) >= 2 and field.endswith('"') and '"' not in inner.replace('""', "")
