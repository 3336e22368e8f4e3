"""Read files of any size row by row, and find the columns that the model reads."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple

from xlingual.data.readers.column_search import find_columns
from xlingual.data.readers.columns import Columns, split_names
from xlingual.data.readers.json_files import open_json_lines
from xlingual.data.readers.opening import open_file
from xlingual.data.readers.sources import file_format
from xlingual.data.readers.tables import Row, Table
from xlingual.errors import ColumnError, ConfigError, DataError
from xlingual.inference.output_formats import STANDARD
from xlingual.tasks import Task, get_task

__all__ = ["InputColumns", "input_columns", "open_table"]

_NUM_ROWS_FOR_COLUMNS = 1_000


class InputColumns(NamedTuple):
    """The text column, the two columns of a pair, or the column with lists of tokens."""

    names: tuple[str, ...]
    are_tokens: bool = False


_BY_ROW = ("csv", "tsv", "txt", "jsonl", "parquet", "xlsx")


def open_table(path: str, *, columns: Columns | None = None) -> Table:
    """Open a file of rows lazily, by the ending of its name; ``-`` is JSON Lines on standard input.

    Args:
        path: The file.
        columns: The column names of a file without a header, and its encoding.

    Raises:
        DataError: The file does not exist, or cannot be read row by row.
    """
    if path == STANDARD:
        return _open_standard_input()
    if not os.path.isfile(path):
        raise DataError(f"{path} {'is a folder' if os.path.isdir(path) else 'does not exist'}")
    columns = columns or Columns()
    known = file_format(path)
    if known == "json":
        try:
            return open_json_lines(path, encoding=columns.encoding)
        except DataError as error:
            raise DataError(
                f"{error}; a JSON document cannot be read row by row: write it as JSON Lines"
            ) from None
    if known not in _BY_ROW and known is not None:
        raise DataError(
            f"{path}: expected a name that ends in .jsonl, .csv, .tsv, .txt (optionally .gz), "
            ".parquet or .xlsx"
        )
    return open_file(path, names=split_names(columns.columns), encoding=columns.encoding)


def input_columns(
    table: Table, *, task: Task, columns: Columns, is_pair: bool, where: str
) -> InputColumns:
    """Find the columns that the model reads.

    Raises:
        ColumnError: There is no such column.
        ConfigError: A named column is of no use to the model.
    """

    def resolve(name: str) -> dict[str, str]:
        return find_columns(table, task=get_task(name), columns=columns, labels="drop", where=where)

    if task.name != "token":
        if columns.tokens_column:
            raise ConfigError("--tokens_column is for tagging; this model classifies texts")
        found = resolve("pair" if is_pair else "sequence")
        return InputColumns((found["text"], found["text_pair"]) if is_pair else (found["text"],))
    if columns.text_pair_column:
        raise ConfigError("--text_pair_column is for models of pairs; this model tags tokens")
    if columns.tokens_column:
        return InputColumns((resolve("token")["tokens"],), are_tokens=True)
    try:
        return InputColumns((resolve("sequence")["text"],))
    except ColumnError:
        if columns.text_column:
            raise
        return InputColumns((resolve("token")["tokens"],), are_tokens=True)


def _open_standard_input() -> Table:
    lines = (line.decode("utf-8", errors="surrogateescape") for line in sys.stdin.buffer)
    rows = (
        _parse(number, line)
        for number, line in enumerate(lines, start=1)
        if line.strip("\ufeff \r\n")
    )
    first = list(islice(rows, _NUM_ROWS_FOR_COLUMNS))
    columns = tuple(dict.fromkeys(key for row in first for key in row.values or ()))
    if not columns:
        problem = first[-1].problem if first else "it is empty"
        raise DataError(f"standard input has no usable row ({problem}); expected JSON Lines")

    def read(_: Sequence[str]) -> Iterator[Row]:
        return chain(first, rows)

    return Table(columns, read)


def _parse(number: int, line: str) -> Row:
    try:
        value = json.loads(line.lstrip("\ufeff"))
    except (ValueError, RecursionError) as error:
        return Row(number, None, f"not valid JSON ({error})", line.rstrip("\r\n"))
    if not isinstance(value, dict):
        problem = f"a JSON {type(value).__name__}, not an object"
        return Row(number, None, problem, line.rstrip("\r\n"))
    return Row(number, value)
