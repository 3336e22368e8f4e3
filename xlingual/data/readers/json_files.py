"""Read JSON Lines and the usual shapes of a JSON file."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from xlingual.data.readers.tables import Row, Table, list_names
from xlingual.data.readers.text_files import TextFile, inspect_text_file
from xlingual.errors import DataError

__all__ = ["open_json", "open_json_lines"]

_NUM_ROWS_FOR_COLUMNS = 1_000
_DEEPEST = 4


def open_json_lines(path: str, *, encoding: str | None = None) -> Table:
    """Open a file with one JSON object per line; a malformed line costs only itself.

    Raises:
        DataError: The file is empty or not text, or its first rows hold no object.
    """
    file = inspect_text_file(path, encoding=encoding)

    def read(_: Sequence[str]) -> Iterator[Row]:
        return _parse_lines(file)

    return Table(_columns_of(read(()), path=path), read)


def open_json(path: str, *, part: str | None = None, encoding: str | None = None) -> Table:
    """Open a JSON file: a list of objects, lists by column, or one of these inside objects.

    A ``.json`` file that holds JSON Lines is read as such.

    Args:
        path: The file.
        part: Keys that lead to the rows, ``"data/train"``; needed if several places hold rows.
        encoding: Its encoding if it is not UTF-8; ``None`` guesses it.

    Raises:
        DataError: The file is empty, malformed or of another shape, or several places hold rows.
    """
    file = inspect_text_file(path, encoding=encoding)
    with file.open() as text:
        content = text.read()
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        if any(row.values is not None for row in islice(_parse_lines(file), 2)):
            if part is not None:
                raise DataError(
                    f"{path} is JSON Lines, which have no parts; leave out '#{part}'"
                ) from None
            return open_json_lines(path, encoding=encoding)
        raise DataError(f"{path} is not valid JSON: {error}") from None
    if part is not None:
        document = _follow(document, part, path=path)
    rows = _rows_of(document, path=path, part=part)

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
            except (ValueError, RecursionError) as error:  # too many digits or brackets
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
            problem = f"the last row read is {row.problem}"
        else:
            keys.update(dict.fromkeys(row.values))
    if not keys:
        raise DataError(
            f"{path} has no usable row: {problem}; expected JSON objects such as "
            '{"text": "...", "label": "..."}, one per line'
        )
    return tuple(keys)


def _follow(document: Any, part: str, *, path: str) -> Any:
    """Follow keys such as ``data/train`` to a value; a key may itself contain a slash."""
    if isinstance(document, dict) and part in document:
        return document[part]
    value = document
    keys = part.strip("/").split("/")
    for depth, key in enumerate(keys):
        if not isinstance(value, dict) or key not in value:
            names = list(value) if isinstance(value, dict) else []
            near = difflib.get_close_matches(key, names, n=1)
            hint = f" (did you mean {'/'.join([*keys[:depth], *near])!r}?)" if near else ""
            holds = f"its keys are {list_names(names)}" if names else "there are no keys"
            raise DataError(
                f"{path}#{part}: there is no {key!r}{hint}; "
                f"{'in ' + repr('/'.join(keys[:depth])) + ' ' if depth else ''}{holds}"
            )
        value = value[key]
    return value


def _rows_of(document: Any, *, path: str, part: str | None) -> list[Any]:
    if isinstance(document, list):
        return document
    if _is_columns(document):
        return _by_row(document)
    tables = dict(_tables_in(document))
    if len(tables) == 1:
        (rows,) = tables.values()
        return rows
    if tables:
        places = ["/".join([*([part] if part else []), *keys]) for keys in tables]
        raise DataError(
            f"{path} holds rows in several places ({', '.join(places)}); choose one by writing "
            f"{' or '.join(f'{path}#{place}' for place in places[:3])}"
        )
    if isinstance(document, dict) and all(map(_is_scalar, document.values())):
        return [document]
    raise DataError(
        f"{path} is JSON of an unknown shape; expected a list of objects such as "
        '[{"text": "...", "label": "..."}], or one object per line'
    )


def _tables_in(document: Any, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the keys of every place below an object that holds rows, and the rows."""
    if not isinstance(document, dict) or len(keys) == _DEEPEST:
        return
    for key, value in document.items():
        here = (*keys, str(key))
        if _is_list_of_objects(value):
            yield here, value
        elif _is_columns(value):
            yield here, _by_row(value)
        else:
            yield from _tables_in(value, here)


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _is_columns(value: Any) -> bool:
    """Whether an object holds a list for each column, of equal lengths and without objects."""
    if not isinstance(value, dict) or not value:
        return False
    columns = list(value.values())
    return (
        all(isinstance(column, list) and column for column in columns)
        and len({len(column) for column in columns}) == 1
        and not any(_is_list_of_objects(column) for column in columns)
    )


def _by_row(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | int | float | bool | None)
