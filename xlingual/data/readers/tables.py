"""The common form of the rows of all file formats."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from xlingual.errors import ColumnError

__all__ = ["Row", "Table", "check_header", "list_names"]

_MOST_NAMES, _LONGEST_NAME = 30, 40


class Row(NamedTuple):
    """One row as read, or the reason why it could not be read.

    Args:
        number: 1-based line of a text file, or 1-based row of other formats.
        values: Column -> value; ``None`` for a row that cannot be read.
        problem: Why it cannot be read.
        raw: The content of the file in its place.
    """

    number: int
    values: Mapping[str, Any] | None
    problem: str = ""
    raw: str = ""


@dataclass(frozen=True)
class Table:
    """An open data set whose rows are read lazily.

    Args:
        columns: The columns it has.
        read: ``read(columns)`` iterates over the rows. Formats that store columns separately read
            only these; the others return every column.
        label_names: Column -> names of its integer labels, if the format stores them.
        unit: What a row number counts: ``"line"`` or ``"row"``.
        has_header_line: Whether the names come from the first line of the file, which may turn
            out to be a row.
    """

    columns: tuple[str, ...]
    read: Callable[[Sequence[str]], Iterator[Row]]
    label_names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    unit: str = "line"
    has_header_line: bool = False


def check_header(columns: Sequence[str], *, path: str) -> tuple[str, ...]:
    """Return the header as a tuple, and refuse names that appear twice, which are ambiguous.

    Raises:
        ColumnError: A name appears twice; the message lists these names.
    """
    twice = [name for name, count in Counter(columns).items() if count > 1]
    if twice:
        raise ColumnError(
            f"{path} has the column {', '.join(map(repr, twice))} more than once; rename or remove "
            f"one (its columns are: {', '.join(map(repr, columns))})"
        )
    return tuple(columns)


def list_names(names: Sequence[str]) -> str:
    """Format column names for a message, shortened if they are many or long."""
    shown = [
        name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}..."
        for name in names[:_MOST_NAMES]
    ]
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return (", ".join(map(repr, shown)) or "none") + more
