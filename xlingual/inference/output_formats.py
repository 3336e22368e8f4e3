"""Convert predictions from JSON Lines to tables: csv, tsv, parquet and xlsx.

Whatever its output format, a run first writes JSON Lines and converts them when all rows are
complete. So it can be killed and resumed in the same way for every format, the columns and types of
all rows are known before the first is written, and memory does not grow with the file.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from xlingual.errors import ConfigError, OutputError, require

__all__ = ["STANDARD", "Converter", "TableColumns", "output_converter", "output_format"]

STANDARD = "-"
"""Standard input or output instead of a file."""

Converter: TypeAlias = Callable[[Path, Path], None]
"""Reads JSON Lines from the first path and writes a table to the second."""

_FORMATS = {
    "": "jsonl", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv",
    ".tsv": "tsv", ".tab": "tsv", ".parquet": "parquet", ".xlsx": "xlsx",
}  # fmt: skip
_DELIMITERS = {"csv": ",", "tsv": "\t"}
# Separators of lists in a cell, the same by which this package's readers split labels and tokens.
_JOINED_BY = {"prediction": "|", "probability": "|", "prediction_tags": " "}
_CHUNK_ROWS = 4_096
_MAX_SHEET_ROWS = 1_048_576
_MAX_CELL_CHARACTERS = 32_767
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # not allowed in XML
_MAX_EXACT_INTEGER = 10**15  # a spreadsheet keeps 15 digits; longer ones are identifiers


@dataclass(frozen=True)
class TableColumns:
    """The columns of an output table, and their order.

    Args:
        own: The columns of the input, which come first.
        added: The columns that are added, each with the name under which it is written.
        label_names: In the flat formats, the probability of each label is a column.
    """

    own: Sequence[str]
    added: Mapping[str, str]
    label_names: Sequence[str]

    def order(self, present: Iterable[str]) -> list[str]:
        """The columns that are present, added ones last."""
        there = dict.fromkeys(present)
        added = self.added.values()
        sparse = [name for name in there if name not in self.own and name not in added]
        return [name for name in (*self.own, *sparse, *added) if name in there]


def output_format(target: str, *, bom: bool = False) -> str:
    """The format of an output by the ending of its name: jsonl, csv, tsv, parquet or xlsx.

    Args:
        target: The name, or ``"-"`` for standard output, which is jsonl.
        bom: Whether a byte-order mark was requested, which only csv and tsv can have.

    Raises:
        ConfigError: Another ending, or a byte-order mark in a format without one.
        MissingDependencyError: xlsx without openpyxl.
    """
    suffix = "" if target == STANDARD else Path(target).suffix.lower()
    if suffix not in _FORMATS:
        raise ConfigError(
            "expected an output that ends in .jsonl, .csv, .tsv, .parquet or .xlsx; got "
            f"{target!r}; use one of these endings"
        )
    kind = _FORMATS[suffix]
    if bom and kind not in _DELIMITERS:
        raise ConfigError(f"--bom is for .csv and .tsv; the output is {target!r}; leave --bom out")
    if kind == "xlsx":
        require("openpyxl", extra="excel")
    return kind


def output_converter(kind: str, *, columns: TableColumns, bom: bool = False) -> Converter | None:
    """The function that converts JSON Lines to a format; None for JSON Lines itself.

    Args:
        kind: The result of :func:`output_format`.
        columns: The columns of the table.
        bom: Whether csv and tsv begin with a byte-order mark; without it, Excel assumes another
            encoding.
    """
    if kind == "jsonl":
        return None
    if kind == "parquet":
        return partial(_write_parquet, columns=columns)
    write = _write_xlsx if kind == "xlsx" else partial(_write_delimited, kind=kind, bom=bom)
    return partial(_write_flat, columns=columns, write=write)


def _read_rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as lines:
        for line in lines:
            row = json.loads(line)
            if rb"\ud" in line:  # a lone surrogate, which no other format can hold
                row = json.loads(json.dumps(row, ensure_ascii=False).encode(errors="replace"))
            yield row


def _chunks(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while chunk := list(islice(rows, _CHUNK_ROWS)):
        yield chunk


# csv, tsv and xlsx: a cell holds a number or text


def _write_flat(
    source: Path,
    target: Path,
    *,
    columns: TableColumns,
    write: Callable[[Path, Sequence[str], Iterator[list[Any]]], None],
) -> None:
    present = columns.order(name for row in _read_rows(source) for name in row)
    probabilities = columns.added["probabilities"]
    by_label = {
        label: _free_name(f"{columns.added['probability']}_{label}", present)
        for label in columns.label_names
    }
    plain = [name for name in present if name != probabilities]
    joined_by = {columns.added[name]: joint for name, joint in _JOINED_BY.items()}
    header = [*plain, *(by_label.values() if probabilities in present else ())]

    def cells(row: Mapping[str, Any]) -> list[Any]:
        found = [_flat(row.get(name), joined_by.get(name)) for name in plain]
        if probabilities in present:
            known = row.get(probabilities) or {}
            found += [known.get(label) for label in by_label]
        return found

    write(target, header, (cells(row) for row in _read_rows(source)))


def _free_name(name: str, taken: Sequence[str]) -> str:
    return _free_name(f"xlingual_{name}", taken) if name in taken else name


def _flat(value: Any, joint: str | None) -> Any:
    if not isinstance(value, list | dict):
        return value
    if joint and isinstance(value, list) and not any(isinstance(one, dict) for one in value):
        return joint.join(map(str, value))
    return json.dumps(value, ensure_ascii=False)


def _write_delimited(
    target: Path, header: Sequence[str], rows: Iterator[list[Any]], *, kind: str, bom: bool
) -> None:
    encoding = "utf-8-sig" if bom else "utf-8"
    with target.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, delimiter=_DELIMITERS[kind], lineterminator="\n")
        writer.writerow(header)
        writer.writerows([_json_bool(value) for value in row] for row in rows)


def _json_bool(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _write_xlsx(target: Path, header: Sequence[str], rows: Iterator[list[Any]]) -> None:
    book = require("openpyxl", extra="excel").Workbook(write_only=True)
    sheet = book.create_sheet("predictions")
    sheet.freeze_panes = "A2"  # the header stays in sight
    sheet.append([_sheet_cell(sheet, name) for name in header])
    for number, row in enumerate(rows, start=2):
        if number > _MAX_SHEET_ROWS:
            sheet.close()
            raise OutputError(
                f"an .xlsx sheet holds {_MAX_SHEET_ROWS - 1:,} rows, and the input has more; "
                "name the output .csv or .parquet"
            )
        sheet.append([_sheet_cell(sheet, value) for value in row])
    book.save(target)


def _sheet_cell(sheet: Any, value: Any) -> Any:
    """A value that a sheet keeps unchanged: no text becomes a formula, no digit is lost."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= _MAX_EXACT_INTEGER:
        return str(value)
    if not isinstance(value, str):
        return value
    text = _CONTROL_CHARACTERS.sub("", value)[:_MAX_CELL_CHARACTERS]
    if not text.startswith(("=", "#")):
        return text
    from openpyxl.cell import WriteOnlyCell

    cell = WriteOnlyCell(sheet, value=text)
    cell.data_type = "s"
    return cell


# parquet: a column has one type


def _write_parquet(source: Path, target: Path, *, columns: TableColumns) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types: dict[str, pa.DataType] = {}
    for rows in _chunks(_read_rows(source)):
        for name in dict.fromkeys(name for row in rows for name in row):
            values = [row.get(name) for row in rows]
            types[name] = _common_type(types.get(name, pa.null()), values)
    schema = pa.schema([(name, types[name]) for name in columns.order(types)])
    texts = {field.name for field in schema if pa.types.is_string(field.type)}
    with pq.ParquetWriter(target, schema) as writer:
        for rows in _chunks(_read_rows(source)):
            prepared = [
                {name: _as_text(v) if name in texts else v for name, v in row.items()}
                for row in rows
            ]
            writer.write_table(pa.Table.from_pylist(prepared, schema=schema))


def _common_type(known: Any, values: Sequence[Any]) -> Any:
    """A type for all values so far; text if they have no type in common."""
    import pyarrow as pa

    try:
        found = pa.array(values).type  # infer_type() lets numbers and texts mix
        if _has_no_field(found):
            return pa.string()
        both = [pa.schema([("value", one)]) for one in (known, found)]
        return pa.unify_schemas(both, promote_options="permissive").field("value").type
    except (pa.ArrowException, OverflowError):
        return pa.string()


def _has_no_field(kind: Any) -> bool:
    """Whether a type holds objects without fields, which parquet cannot store."""
    import pyarrow as pa

    if pa.types.is_list(kind):
        return _has_no_field(kind.value_type)
    if not pa.types.is_struct(kind):
        return False
    return kind.num_fields == 0 or any(_has_no_field(field.type) for field in kind)


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
