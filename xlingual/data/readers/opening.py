"""Open a data source of any kind (file, folder or hub id) as a table."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence

from xlingual.data.readers.arrow_tables import open_folder, open_hub, open_parquet
from xlingual.data.readers.conll import open_conll
from xlingual.data.readers.delimited import open_delimited, open_lines
from xlingual.data.readers.excel import open_excel
from xlingual.data.readers.json_files import open_json, open_json_lines
from xlingual.data.readers.sources import FILE_FORMATS, DataSource, file_format, looks_local
from xlingual.data.readers.tables import Table
from xlingual.errors import DataError

__all__ = ["open_file", "open_source"]

_OTHER_WORKBOOKS = (".xls", ".xlsb", ".ods")


def open_source(
    source: DataSource, *, names: Sequence[str] = (), encoding: str | None = None
) -> Table:
    """Open a data source of any kind; its rows are read lazily.

    Args:
        source: The data source.
        names: Names of the columns, for files without a header.
        encoding: Encoding of text files that are not UTF-8; ``None`` guesses it.

    Raises:
        DataError: It does not exist, or is of an unknown kind.
    """
    path = os.path.expanduser(source.path)
    if os.path.isdir(path):
        return open_folder(source)
    if not os.path.exists(path):
        if looks_local(source.path):
            raise DataError(f"{source.path} does not exist{_nearest(path)}")
        return open_hub(source)
    if source.split:
        raise DataError(f"{source}: a file has no splits; leave out '@{source.split}'")
    return open_file(path, part=source.part, names=names, encoding=encoding)


def open_file(
    path: str, *, part: str | None = None, names: Sequence[str] = (), encoding: str | None = None
) -> Table:
    """Open a local file with the reader for its name's ending.

    Args:
        path: The file.
        part: The sheet of a workbook, or the place in a JSON file (``"data/train"``).
        names: Names of the columns, for files without a header.
        encoding: Encoding of text files that are not UTF-8; ``None`` guesses it.

    Raises:
        DataError: It is of an unknown kind, or its kind has no parts.
    """
    kind = file_format(path)
    if part is not None and kind not in ("json", "xlsx"):
        raise DataError(
            f"{path}#{part}: only .json and .xlsx files have parts; leave out '#{part}'"
        )
    if kind == "csv":
        return open_delimited(path, delimiter=",", names=names, encoding=encoding)
    if kind == "tsv":
        return open_delimited(path, delimiter="\t", names=names, encoding=encoding)
    if kind == "txt":
        return open_lines(path, names=names, encoding=encoding)
    if kind == "json":
        return open_json(path, part=part, encoding=encoding)
    if kind == "jsonl":
        return open_json_lines(path, encoding=encoding)
    if kind == "xlsx":
        return open_excel(path, sheet=part, names=names)
    if kind == "parquet":
        return open_parquet(path)
    if kind == "conll":
        return open_conll(path, encoding=encoding)
    if path.lower().endswith(_OTHER_WORKBOOKS):
        raise DataError(
            f"{path}: this kind of workbook cannot be read; open it in a spreadsheet program and "
            "save it as .xlsx, or as CSV in UTF-8"
        )
    raise DataError(
        f"{path} is of an unknown kind; expected a name that ends in one of "
        f"{', '.join(FILE_FORMATS)} (optionally .gz)"
    )


def _nearest(path: str) -> str:
    """A hint for a path that does not exist: the nearest name in its folder, or the files there."""
    folder, name = os.path.split(os.path.abspath(path))
    while not os.path.isdir(folder):
        folder, name = os.path.split(folder)
    try:
        names = os.listdir(folder)
    except OSError:
        names = []
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"; did you mean {os.path.join(folder, near[0])}?"
    known = sorted(entry for entry in names if file_format(entry))[:8]
    return f"; {folder} has {', '.join(known)}" if known else f" ({folder} has no data file)"
