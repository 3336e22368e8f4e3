"""Load a data source as a ``datasets.Dataset`` in canonical columns, with the rejected rows.

Canonical columns: ``text`` (and ``text_pair``, or ``tokens``), the task's label column (``label``,
``labels`` or ``tags``; ``None`` where a row has no label) and ``domain_name``.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from xlingual.data.readers.cleaning import UnusableRowError, clean_field, clean_text, clean_tokens
from xlingual.data.readers.column_search import find_columns
from xlingual.data.readers.columns import Columns, find_label_columns, split_names
from xlingual.data.readers.label_bins import LabelBin
from xlingual.data.readers.label_values import LabelReader
from xlingual.data.readers.multi_hot import check_not_multi_hot, labels_in_columns
from xlingual.data.readers.opening import open_source
from xlingual.data.readers.sources import DataSource, file_format
from xlingual.data.readers.tables import Row, Table
from xlingual.errors import ConfigError, DataError
from xlingual.labels import LabelSpace
from xlingual.tasks import Task

if TYPE_CHECKING:
    from datasets import Dataset, Features

__all__ = ["LabelPolicy", "LoadedData", "load_source"]

logger = logging.getLogger(__name__)

LabelPolicy = Literal["required", "optional", "drop"]
"""Rows must have a label, may have one, or their labels are not read at all."""

_CHUNK_SIZE = 10_000
_LONGEST_RAW = 10_000


@dataclass(frozen=True)
class LoadedData:
    """A data set that is ready to be encoded.

    Args:
        source: Where it came from.
        dataset: The usable rows in canonical columns, in the order of the file.
        rejected: One dict per rejected row: ``file``, ``row`` (1-based line or row), ``reason`` and
            ``content`` (the values in the file).
        columns_used: Canonical column -> column of the file.
    """

    source: DataSource
    dataset: Dataset
    rejected: list[dict[str, Any]]
    columns_used: dict[str, str]


def load_source(
    source: DataSource,
    *,
    task: Task,
    columns: Columns | None = None,
    label_map: Mapping[str, str] | None = None,
    label_space: LabelSpace | None = None,
    label_bins: Sequence[LabelBin] = (),
    labels: LabelPolicy = "required",
) -> LoadedData:
    """Read one data set.

    Args:
        source: The data set, from :func:`parse_sources`.
        task: Defines the input and label columns.
        columns: The user's settings for reading; anything not set is guessed.
        label_map: Renames labels, old name -> new.
        label_space: Rejects rows with labels outside it. Without it all labels pass, and
            ``LabelSpace.check_covers`` can compare whole sets.
        label_bins: Classes of labels that are scores; rows with a score in no bin are rejected.
        labels: ``"required"`` rejects rows without a label; ``"optional"`` keeps them with
            ``None``; ``"drop"`` never reads the label column, whatever it holds, and neither
            labels nor unused columns appear in ``rejected``.

    Returns:
        The usable and the rejected rows; if any are rejected, a warning says how many and why.

    Raises:
        DataError: The source does not exist, cannot be read, or has no usable row.
        ColumnError: A column is missing, misspelt or duplicated.
        ConfigError: A setting does not apply to the task.

    Example:
        >>> loaded = load_source(DataSource("hotel", "hotel.csv"), task=get_task("sequence"))
        ... # doctest: +SKIP
        >>> loaded.dataset[0]  # doctest: +SKIP
        {'text': '房间很干净', 'label': 'positive', 'domain_name': 'hotel'}
    """
    if labels not in ("required", "optional", "drop"):
        raise ConfigError(f"labels must be 'required', 'optional' or 'drop'; got {labels!r}")
    columns = columns or Columns()
    _check_task(task, columns, label_bins)
    names = split_names(columns.columns)
    table = open_source(source, names=names, encoding=columns.encoding)
    if file_format(source.path) == "conll":
        columns = Columns()  # the format of a CoNLL file defines its columns
    used = find_columns(table, task=task, columns=columns, labels=labels, where=str(source))
    if source.is_named and not columns.domain_column:
        used.pop("domain_name", None)  # the user's name takes precedence over a guessed column
    label_columns: tuple[str, ...] = ()
    if labels != "drop":
        label_columns = find_label_columns(table.columns, columns, where=str(source))
    reader = LabelReader(
        names=table.label_names.get(used.get(task.label_column, ""), ()),
        label_map=label_map or {},
        label_space=label_space,
        bins=label_bins,
        list_names=split_names(columns.label_names),
    )
    if task.name == "multi_label" and "labels" in used and not (reader.names or reader.list_names):
        check_not_multi_hot(table, used["labels"], where=str(source))
    canonical = _Canonical(task, used, labels, reader, source, label_columns)
    rejected: list[dict[str, Any]] = []
    wanted = list(dict.fromkeys([*used.values(), *label_columns]))
    dataset = _build_dataset(canonical.convert(table.read(wanted), rejected), canonical.features())
    _report(source, table, num_usable=len(dataset), rejected=rejected)
    if label_bins and labels != "drop":
        _warn_of_one_bin(source, dataset[task.label_column])
    return LoadedData(source, dataset, rejected, used)


def _check_task(task: Task, columns: Columns, label_bins: Sequence[LabelBin]) -> None:
    """Refuse settings that do not apply to the task."""
    for flag in ("label_columns", "label_names"):
        if getattr(columns, flag) and task.name != "multi_label":
            raise ConfigError(f"--{flag} is for --task multi_label; the task is {task.name!r}")
    if label_bins and task.name in ("multi_label", "token"):
        raise ConfigError(f"--label_bins is for one label a row; the task is {task.name!r}")


def _warn_of_one_bin(source: DataSource, labels: Sequence[str | None]) -> None:
    if len(set(labels)) == 1:
        logger.warning(
            f"{source}: --label_bins turns all of its labels into {labels[0]!r}; are they scores "
            "of the same scale?"
        )


@dataclass(frozen=True)
class _Canonical:
    """Turns rows as read into rows with canonical columns."""

    task: Task
    used: Mapping[str, str]
    labels: LabelPolicy
    reader: LabelReader
    source: DataSource
    label_columns: tuple[str, ...] = ()

    def convert(
        self, rows: Iterable[Row], rejected: list[dict[str, Any]]
    ) -> Iterator[dict[str, Any]]:
        """Yield the usable rows; add the others to ``rejected``, without labels to be dropped."""
        for row in rows:
            if row.values is None:
                raw = {} if self.labels == "drop" else {"raw": row.raw[:_LONGEST_RAW]}
                rejected.append(self._rejection(row, row.problem, raw))
                continue
            try:
                converted = self._convert_row(row.values)
            except UnusableRowError as reason:
                shown = row.values
                if self.labels == "drop":
                    shown = {column: shown.get(column) for column in self.used.values()}
                rejected.append(self._rejection(row, str(reason), shown))
            else:
                yield converted

    def features(self) -> Features:
        """The types of the canonical columns, which hold even if a column is all ``None``."""
        from datasets import Features, List, Value

        string = Value("string")
        is_list = {"tokens", "tags", "labels"}
        inputs = [*self.task.text_columns]
        if self.task.name == "token" and "text" in self.used:
            inputs.append("text")
        types = {
            column: List(string) if column in is_list else string
            for column in (*inputs, self.task.label_column, "domain_name")
        }
        return Features(types | ({"weight": Value("float64")} if "weight" in self.used else {}))

    def _convert_row(self, values: Mapping[str, Any]) -> dict[str, Any]:
        fields = {column: values.get(name) for column, name in self.used.items()}
        row: dict[str, Any] = {}
        label = self._read_label(values, fields)
        if self.task.name == "token":
            row["tokens"], label = clean_tokens(fields["tokens"], label)
            if "text" in self.used:
                row["text"] = clean_field(fields["text"], column="text")
        else:
            for column in self.task.text_columns:
                row[column] = clean_field(fields[column], column=column)
        if label is None and self.labels == "required":
            raise UnusableRowError("no label" if self.task.name != "token" else "no tags")
        row[self.task.label_column] = label
        row["domain_name"] = self._domain_name(fields.get("domain_name"))
        if "weight" in self.used:
            row["weight"] = _row_weight(fields["weight"])
        return row

    def _read_label(self, values: Mapping[str, Any], fields: Mapping[str, Any]) -> Any:
        if self.label_columns:
            return self.reader.read_labels(labels_in_columns(values, self.label_columns))
        if self.labels == "drop" or self.task.label_column not in self.used:
            return None
        value = fields[self.task.label_column]
        if self.task.label_column == "labels":
            return self.reader.read_labels(value)
        if self.task.label_column == "tags":
            return self.reader.read_tags(value)
        return self.reader.read_label(value)

    def _domain_name(self, value: object) -> str:
        return (clean_text(str(value)) if value is not None else "") or self.source.name

    def _rejection(self, row: Row, reason: str, content: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "file": str(self.source),
            "row": row.number,
            "reason": reason,
            "content": dict(content),
        }


def _row_weight(value: object) -> float:
    try:
        weight = float(str(value))
    except ValueError:
        weight = math.nan
    if not 0 <= weight < math.inf:
        raise UnusableRowError(f"the weight must be a number of at least 0; got {value!r}")
    return weight


def _build_dataset(rows: Iterable[dict[str, Any]], features: Features) -> Dataset:
    """Build an Arrow table in chunks, so that the Python objects of a large file do not pile up."""
    import pyarrow as pa
    from datasets import Dataset
    from datasets.table import InMemoryTable

    schema = features.arrow_schema
    chunks: list[Any] = []
    chunk: list[dict[str, Any]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == _CHUNK_SIZE:
            chunks.append(pa.Table.from_pylist(chunk, schema=schema))
            chunk = []
    chunks.append(pa.Table.from_pylist(chunk, schema=schema))
    return Dataset(InMemoryTable(pa.concat_tables(chunks)))


def _report(
    source: DataSource,
    table: Table,
    *,
    num_usable: int,
    rejected: list[dict[str, Any]],
) -> None:
    """Warn of rejected rows with counts by reason; raise if there is no usable row."""
    if num_usable and not rejected:
        return
    if not rejected:
        raise DataError(
            f"{source} has columns ({', '.join(table.columns)}) but no rows; expected at least one"
        )
    counts = Counter(rejection["reason"] for rejection in rejected).most_common()
    reasons = ", ".join(f"{count} x {reason}" for reason, count in counts[:4])
    more = f" and {len(counts) - 4} other reasons" if len(counts) > 4 else ""
    first = rejected[0]
    total = num_usable + len(rejected)
    summary = f"{reasons}{more}; first at {table.unit} {first['row']}"
    if num_usable:
        logger.warning(f"{source}: rejected {len(rejected):,} of {total:,} rows ({summary})")
        return
    hint = "; labels are required here" if "no label" in dict(counts) else ""
    raise DataError(f"{source}: none of its {total:,} rows can be used ({summary}){hint}")
