"""Find the columns of an open table; if one is missing, use its rows to explain why."""

from __future__ import annotations

from itertools import islice

from xlingual.data.readers.columns import Columns, resolve_columns
from xlingual.data.readers.headers import missing_header
from xlingual.data.readers.multi_hot import binary_columns
from xlingual.data.readers.tables import Table
from xlingual.errors import ColumnError
from xlingual.tasks import Task

__all__ = ["find_columns"]

_NUM_LINES = 20


def find_columns(
    table: Table, *, task: Task, columns: Columns, labels: str, where: str
) -> dict[str, str]:
    """Find the columns that a task needs, see :func:`resolve_columns`.

    Raises:
        ColumnError: A column is missing. The message says so if the file seems to have no header,
            if its lines are separated by tabs, or if it has a column for each label.
    """
    try:
        return resolve_columns(
            table.columns, task=task, columns=columns, labels=labels, where=where
        )
    except ColumnError as error:
        if problem := missing_header(table):
            raise ColumnError(f"{where}: {problem}") from None
        if _has_tabs(table):
            raise ColumnError(
                f"{where}: each line is read as one text, but holds tabs; name its columns, for "
                "example with --columns text,label"
            ) from None
        hint = ""
        if labels == "required" and task.name in ("sequence", "multi_label"):
            hint = _label_columns_hint(table, task=task, columns=columns, where=where)
        raise ColumnError(f"{error}{hint}") from None


def _has_tabs(table: Table) -> bool:
    if table.columns != ("text",):
        return False
    rows = [row.values for row in islice(table.read(table.columns), _NUM_LINES) if row.values]
    return all(isinstance(row["text"], str) and "\t" in row["text"] for row in rows)


def _label_columns_hint(table: Table, *, task: Task, columns: Columns, where: str) -> str:
    try:
        used = resolve_columns(
            table.columns, task=task, columns=columns, labels="drop", where=where
        )
    except ColumnError:
        return ""
    found = binary_columns(table, exclude=list(used.values()))
    if len(found) < 2:
        return ""
    flags = f"--task multi_label --label_columns {','.join(found)}"
    return f"; if each of its columns of 0 and 1 is a label, give {flags}"
