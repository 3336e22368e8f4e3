"""Read a sheet of an Excel workbook row by row, with the values that a csv export would have."""

from __future__ import annotations

import datetime
import difflib
import os
import zipfile
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from xlingual.data.readers.headers import apply_names
from xlingual.data.readers.tables import Row, Table, check_header
from xlingual.errors import DataError, require

__all__ = ["open_excel"]


def open_excel(path: str, *, sheet: str | None = None, names: Sequence[str] = ()) -> Table:
    """Open a sheet of an ``.xlsx`` workbook whose first row names the columns.

    Every value is text, as in a csv file: ``5`` is ``"5"``, a date ``"2024-05-01"``, an empty cell
    ``""``. Formulas give the value that was saved with them.

    Args:
        path: The workbook.
        sheet: Name of the sheet; ``None`` is the first one.
        names: Names of the columns of a sheet without a header.

    Raises:
        MissingDependencyError: openpyxl is not installed.
        DataError: It is not a workbook, or has no such sheet or no rows.
        ColumnError: Two columns have the same name.
    """
    with _Workbook(path) as workbook:
        sheet = _find_sheet(workbook, sheet, path=path)
        first = next((cells for _, cells in _cells(workbook[sheet])), None)
    if first is None:
        raise DataError(f"{path}: the sheet {sheet!r} is empty; expected a header and rows")
    is_named = apply_names(first, names, path=path)
    named = [name.strip() or f"column_{number}" for number, name in enumerate(first, start=1)]
    columns = tuple(names) if is_named else check_header(named, path=path)
    read = partial(_read_rows, path, sheet, columns, is_named)
    return Table(columns, read, unit="row", has_header_line=not is_named)


class _Workbook:
    """A workbook opened for streaming, without holding the rows in memory."""

    def __init__(self, path: str) -> None:
        self._openpyxl = require("openpyxl", extra="excel")
        self._path = path

    def __enter__(self) -> Any:
        try:
            self._book = self._openpyxl.load_workbook(self._path, read_only=True, data_only=True)
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise DataError(
                f"{self._path} cannot be read as an Excel workbook ({error}); if it is "
                "protected by a password or in an older format, save it as .xlsx or CSV in UTF-8"
            ) from None
        return self._book

    def __exit__(self, *exception: object) -> None:
        self._book.close()


def _find_sheet(workbook: Any, sheet: str | None, *, path: str) -> str:
    sheets = [worksheet.title for worksheet in workbook.worksheets]  # no charts
    if sheet is None and sheets:
        return str(sheets[0])
    if sheet not in sheets:
        near = difflib.get_close_matches(str(sheet), sheets, n=1)
        hint = f"; did you mean {os.path.basename(path)}#{near[0]}?" if near else ""
        raise DataError(
            f"{path} has no sheet {sheet!r}; its sheets: {', '.join(sheets) or 'none'}{hint}"
        )
    return str(sheet)


def _read_rows(
    path: str, sheet: str, columns: tuple[str, ...], is_named: bool, _: Sequence[str]
) -> Iterator[Row]:
    with _Workbook(path) as workbook:
        rows = _cells(workbook[sheet])
        if not is_named:
            next(rows)
        for number, cells in rows:
            cells += [""] * (len(columns) - len(cells))
            if len(cells) > len(columns):
                problem = f"{len(cells)} cells where the header has {len(columns)}"
                yield Row(number, None, problem, ",".join(cells))
            else:
                yield Row(number, dict(zip(columns, cells, strict=True)))


def _cells(worksheet: Any) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and texts of every row that is not blank, without trailing empty cells."""
    worksheet.reset_dimensions()  # some programs write wrong ones, which would truncate rows
    for number, values in enumerate(worksheet.iter_rows(values_only=True), start=1):
        cells = [_as_text(value) for value in values]
        while cells and not cells[-1].strip():
            cells.pop()
        if cells:
            yield number, cells


def _as_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime.datetime):
        has_time = value.time() != datetime.time()
        return value.isoformat(" ") if has_time else value.date().isoformat()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value)
