"""Reading JSON Lines and the usual shapes of a JSON file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from xlingual.data.readers.tables import Row, Table
from xlingual.data.readers.text_files import TextFile, inspect_text_file
from xlingual.errors import DataError

__all__ = ["open_json", "open_json_lines"]

_NUM_ROWS_FOR_COLUMNS = 1_000


def open_json_lines(path: str) -> Table:
    """Open a file with one JSON object a line; a malformed line costs only itself.

    Raises:
        DataError: The file is empty or not text, or its first rows hold no object.
    """
    file = inspect_text_file(path)

    def read(_: Sequence[str]) -> Iterator[Row]:
        return _parse_lines(file)

    return Table(_columns_of(read(()), path=path), read)


def open_json(path: str) -> Table:
    """Open a JSON file: a list of objects, lists by column, or an object around a list of objects.

    JSON Lines under the name ``.json`` are read as what they are.

    Raises:
        DataError: The file is empty, malformed, or of another shape.
    """
    file = inspect_text_file(path)
    with file.open() as text:
        content = text.read()
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        if any(row.values is not None for row in islice(_parse_lines(file), 2)):
            return open_json_lines(path)
        raise DataError(f"{path} is not valid JSON: {error}") from None
    rows = _rows_of(document, path=path)

    def read(_: Sequence[str]) -> Iterator[Row]:
        for number, row in enumerate(rows, start=1):
            yield _as_row(number, row)

    return Table(_columns_of(read(()), path=path), read, unit="row")


def _parse_lines(file: TextFile) -> Iterator[Row]:
    with file.open() as lines:
        for number, line in enumerate(lines, start=1):
            line = line.lstrip("\ufeff").strip()
            if not line:
                continue
            try:
                value = json.loads(line)
            except json.JSONDecodeError as error:
                problem = f"not valid JSON ({error.msg}, character {error.pos + 1})"
                yield Row(number, None, problem, line)
            except (ValueError, RecursionError) as error:  # endless digits, endless brackets
                yield Row(number, None, f"not readable as JSON ({error})", line)
            else:
                yield _as_row(number, value)


def _as_row(number: int, value: Any) -> Row:
    if isinstance(value, dict):
        return Row(number, value)
    raw = json.dumps(value, ensure_ascii=False)
    return Row(number, None, f"a JSON {type(value).__name__}, not an object", raw)


def _columns_of(rows: Iterable[Row], *, path: str) -> tuple[str, ...]:
    """The keys of the first rows, in order of appearance."""
    keys: dict[str, None] = {}
    problem = "it holds no rows"
    for row in islice(rows, _NUM_ROWS_FOR_COLUMNS):
        if row.values is None:
            problem = f"the last of its first rows: {row.problem}"
        else:
            keys.update(dict.fromkeys(row.values))
    if not keys:
        raise DataError(
            f"{path} has no usable row: {problem}; expected JSON objects such as "
            '{"text": "...", "label": "..."}, one a line'
        )
    return tuple(keys)


def _rows_of(document: Any, *, path: str) -> list[Any]:
    if isinstance(document, list):
        return document
    if isinstance(document, dict):
        values = list(document.values())
        inner = [value for value in values if _is_list_of_objects(value)]
        if len(inner) == 1:
            return list(inner[0])
        lengths = {len(value) if isinstance(value, list) else None for value in values}
        if len(lengths) == 1 and None not in lengths:
            return [dict(zip(document, row, strict=True)) for row in zip(*values, strict=True)]
        if all(isinstance(value, str | int | float | bool | None) for value in values):
            return [document]
    raise DataError(
        f"{path} is JSON of an unknown shape; expected a list of objects such as "
        '[{"text": "...", "label": "..."}], or one object a line'
    )


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)
