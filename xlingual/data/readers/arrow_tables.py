"""Read formats with typed columns: parquet, folders written by ``datasets``, and the hub."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from xlingual.data.readers.sources import DataSource
from xlingual.data.readers.tables import Row, Table, check_header
from xlingual.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset, Features

__all__ = ["open_folder", "open_hub", "open_parquet"]

logger = logging.getLogger(__name__)

_BATCH_SIZE = 1_000
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


def open_parquet(path: str) -> Table:
    """Open a parquet file; only the requested columns are read.

    Raises:
        DataError: It is not a parquet file.
        ColumnError: Two columns have the same name.
    """
    import pyarrow
    import pyarrow.parquet
    from datasets import Features

    try:
        schema = pyarrow.parquet.read_schema(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as parquet: {error}") from None
    columns = check_header(schema.names, path=path)

    def read(wanted: Sequence[str]) -> Iterator[Row]:
        with pyarrow.parquet.ParquetFile(path) as file:
            yield from _rows(file.iter_batches(batch_size=_BATCH_SIZE, columns=list(wanted)))

    return Table(columns, read, _label_names(Features.from_arrow_schema(schema)), unit="row")


def open_folder(source: DataSource) -> Table:
    """Open a folder written by ``save_to_disk``, with or without splits.

    Raises:
        DataError: It is another kind of folder, or has no such split.
    """
    from datasets import Dataset, load_from_disk

    path = os.path.expanduser(source.path)
    if not any(os.path.exists(os.path.join(path, name)) for name in _SAVED_FILES):
        files = ", ".join(sorted(os.listdir(path))[:10]) or "nothing"
        raise DataError(
            f"{source.path} is a folder, but not one written by save_to_disk; name a file in it, "
            f"or a split's folder (it holds: {files})"
        )
    try:
        stored = load_from_disk(path)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{source.path} cannot be loaded by datasets: {error}") from None
    if isinstance(stored, Dataset):
        if source.split:
            raise DataError(f"{source}: this folder has no splits; leave out '@{source.split}'")
        return _table(stored, where=str(source))
    splits = list(stored)
    split = source.split or (splits[0] if len(splits) == 1 else "train")
    if split not in stored:
        raise DataError(f"{source}: there is no split {split!r}; its splits: {', '.join(splits)}")
    if source.split is None and len(splits) > 1:
        logger.warning(
            f"{source}: took the split 'train' of {', '.join(splits)}; choose with @split"
        )
    return _table(stored[split], where=str(source))


_SAVED_FILES = ("dataset_dict.json", "dataset_info.json", "state.json")


def open_hub(source: DataSource) -> Table:
    """Load a data set from the hub, or from its local cache when the hub cannot be reached.

    Raises:
        DataError: It cannot be loaded; the message says why and what to do.
    """
    from datasets import load_dataset

    if not _HUB_ID.fullmatch(source.path):
        raise DataError(
            f"{source.path!r} is neither an existing file or folder nor a hub id (org/name)"
        )
    if source.split is None:
        logger.warning(f"{source}: no @split given, took 'train'")
    try:
        dataset = load_dataset(source.path, source.config, split=source.split or "train")
    except (OSError, ValueError, RuntimeError, ImportError, KeyError) as error:
        raise DataError(_explain_hub_error(source, error)) from error
    return _table(dataset, where=str(source))


def _explain_hub_error(source: DataSource, error: Exception) -> str:
    message = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, ConnectionError) or "Couldn't reach" in message:
        offline = " (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") else ""
        return (
            f"{source.path!r} is neither a local file or folder nor in the cache, and the hub "
            f"cannot be reached{offline}: {message}. Give a local file, or set HF_ENDPOINT to a "
            "mirror, or download it once with a connection"
        )
    if isinstance(error, FileNotFoundError):
        return (
            f"{source.path!r} is neither a local file or folder nor a readable data set on the "
            f"hub: {message}. Check the spelling; for a private or gated one set HF_TOKEN"
        )
    if "scripts are no longer supported" in message:
        return (
            f"{source.path!r} is a loading script, which datasets no longer runs; use a version "
            "of it in parquet, or download its files"
        )
    return f"{source}: {message} (write hub_id:config@split to choose)"


def _table(dataset: Dataset, *, where: str) -> Table:
    columns = check_header(dataset.column_names, path=where)
    names = _label_names(dataset.features)

    def read(wanted: Sequence[str]) -> Iterator[Row]:
        selected = dataset.select_columns(list(wanted)).with_format("arrow")
        return _rows(selected.iter(batch_size=_BATCH_SIZE))

    return Table(columns, read, names, unit="row")


def _rows(batches: Iterable[Any]) -> Iterator[Row]:
    number = 0
    for batch in batches:
        for values in batch.to_pylist():
            number += 1
            yield Row(number, values)


def _label_names(features: Features) -> dict[str, Sequence[str]]:
    """The names of integer labels, for columns that hold labels or lists of labels."""
    from datasets import ClassLabel

    names: dict[str, Sequence[str]] = {}
    for column, feature in features.items():
        inner = getattr(feature, "feature", feature)
        if isinstance(inner, ClassLabel) and inner.names:
            names[column] = list(inner.names)
    return names
