"""Reading csv, tsv and plain lines of text, so that one bad row costs one row."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from xlingual.data.readers.tables import Row, Table, check_header
from xlingual.data.readers.text_files import TextFile, inspect_text_file
from xlingual.errors import DataError

__all__ = ["open_delimited", "open_lines"]

logger = logging.getLogger(__name__)

_LONGEST_FIELD = 2**31 - 1  # the most that fits a C long everywhere


@dataclass(frozen=True)
class _Dialect:
    delimiter: str
    quoting: Any = csv.QUOTE_MINIMAL


def open_delimited(path: str, *, delimiter: str) -> Table:
    """Open a csv (``","``) or tsv (``"\\t"``) file with a header line.

    Raises:
        DataError: The file is empty, not text, or has no header.
        ColumnError: Two columns have the same name.
    """
    file = inspect_text_file(path)
    quoting = _tsv_quoting(file) if delimiter == "\t" else csv.QUOTE_MINIMAL
    dialect = _Dialect(delimiter, quoting)
    header = _read_header(file, dialect)
    if len(header) == 1 and delimiter == ",":
        for other in "\t;":
            if other in header[0]:
                logger.warning(f"{path}: the columns are separated by {other!r}, not by ','")
                dialect = _Dialect(other)
                header = _read_header(file, dialect)
                break
    named = [name.strip() or f"column_{number}" for number, name in enumerate(header, start=1)]
    columns = check_header(named, path=path)
    return Table(columns, partial(_read_rows, file, dialect, columns))


def open_lines(path: str) -> Table:
    """Open a plain text file: one text a line, in the column ``text``."""
    file = inspect_text_file(path)

    def read(_: Sequence[str]) -> Iterator[Row]:
        with file.open() as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip("\r\n"):
                    yield Row(number, {"text": line.strip("\r\n")})

    return Table(("text",), read)


def _read_header(file: TextFile, dialect: _Dialect) -> list[str]:
    for _, fields in _records(file, dialect):
        if isinstance(fields, str):
            raise DataError(f"{file.path}: the header line is {fields}")
        if any(name.strip() for name in fields):
            return [name.lstrip("\ufeff") for name in fields]
    raise DataError(f"{file.path} holds nothing but blank lines; expected a header and rows")


def _read_rows(
    file: TextFile, dialect: _Dialect, columns: tuple[str, ...], _: Sequence[str]
) -> Iterator[Row]:
    is_header = True
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
    """Lines with their numbers, of which those behind a bad quote can be put back."""

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
        """Forget the lines of the last record; the number of the first line of the next."""
        self._taken.clear()
        return self.number + 1

    def keep_first(self) -> str:
        """Put back all lines of the record but its first, which is returned."""
        first, *others = self._taken
        self._put_back.extend(reversed(others))
        self.number -= len(others)
        return first


def _records(file: TextFile, dialect: _Dialect) -> Iterator[tuple[int, list[str] | str]]:
    """Line number and fields of each record, or what is wrong with it.

    A quote that is never closed swallows all lines up to the next one, or the whole file. Parsing
    therefore starts again on the line behind the one where the bad record began.
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
    """Lift the limit of 131,072 characters a field, which is one for the whole process."""
    before = csv.field_size_limit(_LONGEST_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _tsv_quoting(file: TextFile) -> Any:
    """Whether quotes in a tsv file are quotation marks of the text or quote a field.

    Both kinds of file are common. A field that begins with a quote but does not end as a quoted
    field must, on a line with the usual number of tabs, be text.
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
