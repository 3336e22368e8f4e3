"""Translations given by the user: one line per row, or a column of the data file."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from datasets import Dataset, Value

from xlingual.data.bitext import open_text
from xlingual.data.collating import VIEW_PREFIX
from xlingual.data.corpus import embedded_corpus
from xlingual.data.readers.cleaning import UnusableRowError, clean_field
from xlingual.data.readers.column_search import find_columns
from xlingual.data.readers.columns import Columns, split_names
from xlingual.data.readers.opening import open_source
from xlingual.data.sets import TransferData
from xlingual.errors import DataError
from xlingual.languages import detect_language
from xlingual.tasks import Task

__all__ = ["check_translations", "read_translations", "translate_rows"]

logger = logging.getLogger(__name__)

_COLUMNS = ("translation", "view_text")
_USED_COLUMNS = ("text_column", "text_pair_column", "columns", "encoding")
_NAMES = {"en": "English", "zh": "Chinese"}


def read_translations(
    path: str | Path | None,
    data: TransferData,
    *,
    role: str = "source_train",
    language: str | None = None,
) -> dict[str, str]:
    """The translation of each text of a data set.

    Translations are looked up by text, not by row number, so rejecting, holding out or sampling
    rows cannot misalign them.

    Args:
        path: A file with one line for each row of the role's files, in the same order; the two
            sides of a pair are separated by a tab. None reads the column ``translation`` (or
            ``view_text``) of the files.
        data: The loaded sets; the files are read again to count the rows that were left out.
        role: The role whose sets were translated.
        language: Language that the translations must be in, ``"zh"`` or ``"en"``; other tags are
            not checked. None is the language of the other side.

    Returns:
        Translation by text; rows without a text or with an empty translation are left out.

    Raises:
        DataError: The numbers of lines and rows differ, a line does not hold a pair, there is no
            such column, or the translations are in another language.
    """
    if language is None:
        is_source = role.startswith("source")
        language = data.target_language if is_source else data.source_language
    texts, given = _read_rows(data, role=role, with_own=path is None)
    where = f"--{role}"
    if path is not None:
        given = _read_lines(Path(path), num_texts=len(data.task.text_columns))
        where = str(path)
        if len(given) != len(texts):
            raise DataError(
                f"{path} has {len(given)} lines, but --{role} has {len(texts)} rows; expected one "
                "translation per line for each row, in the same order (an empty line for none)"
            )
    translations: dict[str, str] = {}
    for row, translated in zip(texts, given, strict=True):
        for text, translation in zip(row, translated, strict=True):
            if text and translation:
                translations.setdefault(text, translation)
    check_translations(translations, language=language, where=where)
    return translations


def check_translations(translations: Mapping[str, str], *, language: str, where: str) -> None:
    """Refuse translations that are not in the expected language, judged by their script.

    Raises:
        DataError: Most of them are in another language, or there are none.
    """
    if not translations:
        raise DataError(f"{where} holds no translation; expected one for each row")
    found = detect_language(translations.values())
    if language in _NAMES and found != language:
        shown = next(iter(translations.values()))[:40]
        raise DataError(
            f"the translations of {where} should be in {_NAMES[language]}, but most of them are "
            f"{'in ' + _NAMES[found] if found in _NAMES else 'not'}: {shown!r}; is it the wrong "
            "file, or translated in the wrong direction?"
        )


def translate_rows(
    dataset: Dataset,
    translations: Mapping[str, str],
    *,
    text_columns: Sequence[str] = ("text",),
    as_view: bool = False,
) -> Dataset:
    """Replace the texts of labelled rows by their translations.

    Args:
        dataset: The rows.
        translations: Translation by text.
        text_columns: The columns to translate.
        as_view: Keep the text and add the translation as ``view_text``, for ``ConsistencyLoss``;
            None where a row has none. Otherwise rows without a translation are left out, with a
            warning.

    Raises:
        DataError: No row has a translation.
    """
    found = {name: [translations.get(text) for text in dataset[name]] for name in text_columns}
    whole = [all(row) for row in zip(*found.values(), strict=True)]
    if not any(whole):
        raise DataError(f"none of the {len(dataset)} rows has a translation")
    if not all(whole):
        logger.warning("%d of %d rows have no translation", whole.count(False), len(dataset))
    for name, values in found.items():
        if as_view:
            view = [
                text if is_whole else None for text, is_whole in zip(values, whole, strict=True)
            ]
            dataset = dataset.add_column(f"{VIEW_PREFIX}{name}", view, feature=Value("string"))
        else:
            dataset = dataset.remove_columns(name).add_column(name, values, feature=Value("string"))
    return dataset if as_view else dataset.select([i for i, kept in enumerate(whole) if kept])


def _read_rows(
    data: TransferData, *, role: str, with_own: bool
) -> tuple[list[list[str]], list[list[str]]]:
    """The texts of every row and the translations in the file, "" where one is missing."""
    if not data.sources:
        rows = embedded_corpus()[role]
        if with_own:
            raise DataError("the embedded corpus has no translations; give --translations")
        return [[text] for text in rows["text"]], []
    if role not in data.sources:
        raise DataError(f"translations of --{role} need the rows they translate; got no --{role}")
    texts, own = [], []
    columns = Columns.of(data.arguments)
    names = split_names(columns.columns)
    for source in data.sources[role]:
        table = open_source(source, names=names, encoding=columns.encoding)
        used = find_columns(
            table, task=data.task, columns=columns, labels="drop", where=str(source)
        )
        wanted = [used[column] for column in data.task.text_columns]
        theirs = _own_columns(table.columns, data.task, where=str(source)) if with_own else []
        for row in table.read([*wanted, *theirs]):
            values = row.values or {}
            texts.append([_clean(values.get(name)) for name in wanted])
            own.append([_clean(values.get(name)) for name in theirs])
    return texts, own


def _own_columns(names: Sequence[str], task: Task, *, where: str) -> list[str]:
    for column in _COLUMNS:
        wanted = [column + name.removeprefix("text") for name in task.text_columns]
        if set(wanted) <= set(names):
            return wanted
    raise DataError(
        f"{where} has no column {' or '.join(_COLUMNS)} (its columns are {', '.join(names)}); give "
        "--translations with one line per row, or --translation_model"
    )


def _read_lines(path: Path, *, num_texts: int) -> list[list[str]]:
    def parts(number: int, line: str) -> Iterator[str]:
        found = line.split("\t") if num_texts > 1 else [line]
        if line.strip() and len(found) != num_texts:
            raise DataError(
                f"{path}, line {number}: expected {num_texts} translations separated by a tab, got "
                f"{len(found)} in {line[:60]!r}"
            )
        yield from map(_clean, found if line.strip() else [""] * num_texts)

    return [list(parts(number, line)) for number, line in enumerate(open_text(path), start=1)]


def _clean(value: object) -> str:
    try:
        return clean_field(value, column="text")
    except UnusableRowError:
        return ""
