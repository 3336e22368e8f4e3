"""Detect whether the first line of a file names its columns or is a row."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from xlingual.data.readers.columns import fold_name, is_usual_name
from xlingual.data.readers.tables import Row, Table, list_names
from xlingual.errors import ColumnError

__all__ = ["apply_names", "looks_like_row", "missing_header"]

_NUM_ROWS = 200
_LONGEST_NAME = 40
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?%?")
_SENTENCE = re.compile(r"[。！？；，]|[.!?]$|[,;!?] ")


def apply_names(first: Sequence[str], names: Sequence[str], *, path: str) -> bool:
    """Whether the user's names replace a missing header.

    One flag serves every file of a run: a file whose first line holds one of the names, or a usual
    column name, has a header and keeps it.

    Args:
        first: The first line of the file.
        names: The names given by ``--columns``.
        path: The file, for messages.

    Raises:
        ColumnError: The file has no header, and the numbers of its columns and the names differ.
    """
    given = {fold_name(name) for name in names}
    if not names or any(fold_name(name) in given for name in first):
        return False
    if any(map(is_usual_name, first)) and not looks_like_row(first):
        return False
    if len(first) != len(names):
        raise ColumnError(
            f"{path}: --columns names {len(names)} column{'s' * (len(names) != 1)} "
            f"({', '.join(names)}), but the first line has {len(first)}: {list_names(first)}"
        )
    return True


def looks_like_row(first: Iterable[str]) -> bool:
    """Whether a line holds a number, a sentence or a long text, which are not column names."""
    return any(
        _NUMBER.fullmatch(name.strip())
        or len(name) > _LONGEST_NAME
        or _SENTENCE.search(name.strip())
        for name in first
    )


def missing_header(table: Table) -> str | None:
    """Explain that a table seems to have no header; ``None`` if it seems to have one.

    It has none if a name looks like a value, or appears again as a value in its own column.
    """
    if not table.has_header_line or any(map(is_usual_name, table.columns)):
        return None
    rows = [row.values for row in _first_rows(table) if row.values is not None]
    repeated = any(str(row.get(name)) == name for row in rows for name in table.columns)
    if not (repeated or looks_like_row(table.columns)):
        return None
    rows.append({name: name for name in table.columns})
    columns = [[str(row.get(name) or "") for row in rows] for name in table.columns]
    return (
        f"it seems to have no header, because its first line looks like a row: "
        f"{list_names(table.columns)}; name its columns, for example with "
        f"--columns {','.join(_suggest_names(columns))}"
    )


def _first_rows(table: Table) -> Iterable[Row]:
    return islice(table.read(table.columns), _NUM_ROWS)


def _suggest_names(columns: Sequence[Sequence[Any]]) -> list[str]:
    """Take the column with the fewest values as the label and the longest other one as the text."""
    lengths = [sum(map(len, column)) for column in columns]
    places = list(range(len(columns)))
    names = [f"column_{place + 1}" for place in places]
    if len(columns) > 1:
        label = min(places, key=lambda place: (len(set(columns[place])), lengths[place]))
        names[label] = "label"
        places.remove(label)
    names[max(places, key=lengths.__getitem__)] = "text"
    return names
