"""Read several labels per row from 0/1 flags: a column for each label, or one list per row."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from xlingual.data.readers.cleaning import UnusableRowError, clean_text
from xlingual.data.readers.tables import Table
from xlingual.errors import DataError

__all__ = ["binary_columns", "check_not_multi_hot", "labels_in_columns", "labels_in_list"]

_NUM_ROWS = 200
_TRUE = frozenset(("1", "1.0", "true", "yes", "y", "是"))
_FALSE = frozenset(("0", "0.0", "false", "no", "n", "否"))
_BETWEEN = re.compile(r"[\s,;|]+")


def labels_in_columns(values: Mapping[str, Any], names: Sequence[str]) -> list[str] | None:
    """The labels whose columns hold 1 or true; ``None`` if all of them are empty.

    Raises:
        UnusableRowError: A column is empty, or holds anything but 0 and 1.
    """
    cells = {name: values.get(name) for name in names}
    if all(map(_is_empty, cells.values())):
        return None
    labels = []
    for name, cell in cells.items():
        flag = _as_flag(cell)
        if flag is None:
            found = "nothing" if _is_empty(cell) else repr(cell)
            raise UnusableRowError(f"the label column {name!r} holds {found}, not 0 or 1")
        if flag:
            labels.append(name)
    return labels


def labels_in_list(value: object, names: Sequence[str]) -> list[str] | None:
    """The labels that are 1 in a list such as ``[0, 1, 1]``; ``None`` if it is no such list.

    Raises:
        UnusableRowError: The numbers of values and names differ.
    """
    flags = _as_flags(value)
    if flags is None:
        return None
    if len(flags) != len(names):
        raise UnusableRowError(
            f"{len(flags)} label values where --label_names has {len(names)} names"
        )
    return [name for name, flag in zip(names, flags, strict=True) if flag]


def binary_columns(table: Table, *, exclude: Sequence[str]) -> list[str]:
    """The columns of a table that hold only 0 and 1 (or true and false) in the first rows."""
    rows = [row.values for row in islice(table.read(table.columns), _NUM_ROWS) if row.values]
    return [
        name
        for name in table.columns
        if rows and name not in exclude and all(_as_flag(row.get(name)) is not None for row in rows)
    ]


def check_not_multi_hot(table: Table, column: str, *, where: str) -> None:
    """Refuse lists of 0 and 1 without names, which would be mistaken for the labels 0 and 1.

    A list of label ids has no repetitions, so a list that repeats a value must hold flags.

    Raises:
        DataError: The column holds such lists; the message names ``--label_names``.
    """
    rows = islice(table.read([column]), _NUM_ROWS)
    values = [row.values.get(column) for row in rows if row.values]
    lists = [_as_flags(value) for value in values if not _is_empty(value)]
    if not lists or None in lists:
        return
    lengths = {len(flags) for flags in lists if flags is not None}
    if len(lengths) == 1 and any(len(set(flags)) < len(flags) for flags in lists if flags):
        (length,) = lengths
        raise DataError(
            f"{where}: the column {column!r} holds lists of 0 and 1, one for each of {length} "
            "labels; name the labels in their order with --label_names, such as "
            f"--label_names {','.join(('service', 'clean', 'price', 'food', 'noise')[:length])}"
            f"{',...' * (length > 5)}"
        )


def _is_empty(value: object) -> bool:
    return value is None or value != value or (isinstance(value, str) and not clean_text(value))


def _as_flag(value: object) -> bool | None:
    folded = str(value).strip().casefold() if isinstance(value, str | int | float) else ""
    return True if folded in _TRUE else False if folded in _FALSE else None


def _as_flags(value: object) -> list[bool] | None:
    """The flags in a list, or in a text such as ``[0, 1, 1]``; ``None`` for any other value."""
    if isinstance(value, str):
        value = [part for part in _BETWEEN.split(value.strip().strip("[]()")) if part]
    if not isinstance(value, list) or len(value) < 2:
        return None
    flags = [_as_flag(item) for item in value]
    return None if None in flags else [bool(flag) for flag in flags]
