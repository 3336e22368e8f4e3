"""The texts of the user's files, in the form in which training and prediction read them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from xlingual.data.readers.cleaning import clean_text
from xlingual.data.readers.column_search import find_columns
from xlingual.data.readers.columns import Columns, split_names
from xlingual.data.readers.opening import open_file
from xlingual.data.readers.sources import FILE_FORMATS, file_format, parse_sources
from xlingual.data.readers.tables import Table
from xlingual.data.readers.text_files import has_undecodable
from xlingual.errors import ColumnError, DataError
from xlingual.tasks import get_task

__all__ = ["batches_of", "corpus_files", "read_texts"]


def corpus_files(corpus: str | Path | Sequence[str | Path]) -> list[str]:
    """The files of a corpus: several, or one argument that lists them with commas.

    Raises:
        DataError: One is missing, or of an unknown kind.
    """
    if isinstance(corpus, str):
        sources = parse_sources(corpus, default_name="corpus")
        paths = [str(source) if source.part else source.path for source in sources]
    else:
        paths = [str(path) for path in ([corpus] if isinstance(corpus, Path) else corpus)]
    paths = [os.path.expanduser(path) for path in paths]
    for path in paths:
        if not os.path.isfile(path) or file_format(path) is None:
            raise DataError(
                f"{path}: expected a file that exists and ends in one of "
                f"{', '.join(FILE_FORMATS)} (optionally .gz)"
            )
    return paths


def read_texts(files: Iterable[str], *, columns: Columns | None = None) -> Iterator[str]:
    """Yield every text of the files as it is and, if that differs, as the loaders clean it.

    Pairs give both texts; rows of tokens give the tokens joined with spaces, joined without spaces,
    and one by one. Rows that cannot be read are skipped, as in training.
    """
    for path in files:
        known = columns or Columns()
        table = open_file(path, names=split_names(known.columns), encoding=known.encoding)
        wanted = _text_columns(table, known, path)
        for row in table.read(wanted):
            for value in ((row.values or {}).get(column) for column in wanted):
                yield from _forms(value)


def batches_of(texts: Iterable[str], size: int = 1_000) -> Iterator[list[str]]:
    """Yield lists of texts, since tokenizers are faster on batches."""
    iterator = iter(texts)
    while batch := list(islice(iterator, size)):
        yield batch


def _text_columns(table: Table, columns: Columns, path: str) -> list[str]:
    errors: dict[str, ColumnError] = {}
    for name in ("pair", "sequence", "token"):
        task = get_task(name)
        try:
            found = find_columns(table, task=task, columns=columns, labels="drop", where=path)
        except ColumnError as error:
            errors[name] = error
        else:
            return [found[column] for column in ("text", "text_pair", "tokens") if column in found]
    raise errors["sequence"]  # most files hold one text per row


def _forms(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value and not has_undecodable(value):
        yield value
        cleaned = clean_text(value)
        if cleaned and cleaned != value:
            yield cleaned
    elif isinstance(value, list) and all(isinstance(item, str) for item in value):
        for form in (" ".join(value), "".join(value), *value):
            yield from _forms(form)
