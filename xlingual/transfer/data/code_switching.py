"""Code-switching: words of a sentence replaced by their translations from a dictionary."""

from __future__ import annotations

import itertools
import logging
import random
import re
from collections.abc import Mapping, Sequence

from datasets import Dataset, Value, concatenate_datasets

from xlingual.data.collating import VIEW_PREFIX
from xlingual.errors import ColumnError, ConfigError, DataError
from xlingual.languages import detect_language
from xlingual.tasks import SOURCE

__all__ = ["code_switch"]

logger = logging.getLogger(__name__)

_WORD = re.compile(r"[A-Za-z]+(?:['’-][A-Za-z]+)*")
_NUM_ROWS_TO_JUDGE = 1000
_USUAL_SENSE = 0.7
# Dictionaries list base forms; the first ending that leads to a known word is taken.
_ENDINGS = (
    ("ies", "y"), ("s", ""), ("es", ""), ("ied", "y"), ("ed", ""), ("ed", "e"),
    ("ing", ""), ("ing", "e"), ("'s", ""), ("’s", ""),
)  # fmt: skip


def code_switch(
    dataset: Dataset,
    dictionary: Mapping[str, Sequence[str]],
    *,
    sentence_probability: float = 0.65,
    token_probability: float = 0.3,
    num_copies: int = 1,
    seed: int = 0,
    text_columns: Sequence[str] | None = None,
) -> Dataset:
    """Add a second view to rows, in which some words are in the target language.

    CoSDA-ML (Qin et al. 2020): a row is switched with ``sentence_probability``. In such a row each
    word found in the dictionary is replaced with ``token_probability``, by its most usual
    translation seven times out of ten and otherwise by another one. The word order stays. The view
    is for ``ConsistencyLoss``; the row itself is not changed. Replacing most words does harm.

    Rows of the target domain, in a set from ``mix_domains``, get no view: call this after mixing.

    Args:
        dataset: Rows of text in the source language.
        dictionary: Lower-case source words with their translations, the most usual first; from
            ``word_translations(read_dictionary(path))``.
        sentence_probability: Share of the rows that are switched.
        token_probability: Share of their words that are replaced; 0.5 is the usual upper end.
        num_copies: How often the rows are repeated, each time with another view.
        seed: Seed of all draws.
        text_columns: Columns to switch; None: ``text`` and, if present, ``text_pair``.

    Returns:
        The rows with ``view_text`` (and ``view_text_pair``), None in rows that are not switched.

    Raises:
        ColumnError: A column is missing.
        ConfigError: A probability is outside [0, 1], or ``num_copies`` below 1.
        DataError: The dictionary goes the wrong way, or knows no word of the rows.

    Example:
        >>> rows = Dataset.from_dict({"text": ["Two clean rooms."]})
        >>> words = {"clean": ["干净"], "room": ["房间"]}
        >>> code_switch(rows, words, sentence_probability=1, token_probability=1)["view_text"][0]
        'Two 干净 房间.'
    """
    if not 0 <= sentence_probability <= 1 or not 0 <= token_probability <= 1 or num_copies < 1:
        raise ConfigError(
            "code-switching needs probabilities in [0, 1] and at least one copy; got "
            f"{sentence_probability}, {token_probability} and {num_copies}"
        )
    columns = _text_columns(dataset, text_columns)
    is_source = [domain == SOURCE for domain in _domains(dataset)]
    _check_direction(dataset, dictionary, columns, is_source)
    generator = random.Random(seed)
    copies = []
    for _ in range(num_copies):
        is_switched = [source and generator.random() < sentence_probability for source in is_source]
        copy = dataset
        for column in columns:
            texts = [
                _switch(text, dictionary, token_probability, generator) if switched else None
                for text, switched in zip(dataset[column], is_switched, strict=True)
            ]
            name = f"{VIEW_PREFIX}{column}"
            if name in copy.column_names:
                copy = copy.remove_columns(name)
            copy = copy.add_column(name, texts, feature=Value("string"))
        copies.append(copy)
    return concatenate_datasets(copies) if num_copies > 1 else copies[0]


def _switch(
    text: str,
    dictionary: Mapping[str, Sequence[str]],
    token_probability: float,
    generator: random.Random,
) -> str:
    def translation(match: re.Match[str]) -> str:
        candidates = _look_up(match[0], dictionary)
        if not candidates or generator.random() >= token_probability:
            return match[0]
        if len(candidates) == 1 or generator.random() < _USUAL_SENSE:
            return candidates[0]
        return generator.choice(candidates[1:])

    return _WORD.sub(translation, text)


def _look_up(word: str, dictionary: Mapping[str, Sequence[str]]) -> Sequence[str]:
    word = word.lower()
    if word in dictionary:
        return dictionary[word]
    for ending, replacement in _ENDINGS:
        stem = word.removesuffix(ending) + replacement
        if word.endswith(ending) and len(stem) > 2 and stem in dictionary:
            return dictionary[stem]
    return ()


def _text_columns(dataset: Dataset, wanted: Sequence[str] | None) -> list[str]:
    usual = [name for name in ("text", "text_pair") if name in dataset.column_names]
    columns = usual if wanted is None else list(wanted)
    missing = [name for name in columns if name not in dataset.column_names]
    if missing or not columns:
        raise ColumnError(
            f"code-switching needs the column(s) {', '.join(missing) or 'text'}; the data set has "
            f"{', '.join(dataset.column_names)}"
        )
    return columns


def _domains(dataset: Dataset) -> Sequence[int]:
    return dataset["domain"] if "domain" in dataset.column_names else [SOURCE] * len(dataset)


def _check_direction(
    dataset: Dataset,
    dictionary: Mapping[str, Sequence[str]],
    columns: Sequence[str],
    is_source: Sequence[bool],
) -> None:
    texts = [
        text
        for column in columns
        for text, source in zip(dataset[column], is_source, strict=True)
        if source
    ]
    language = detect_language(texts[:_NUM_ROWS_TO_JUDGE])
    words = list(itertools.islice(dictionary, _NUM_ROWS_TO_JUDGE))
    sides = (
        detect_language(words),
        detect_language(dictionary[word][0] for word in words if dictionary[word]),
    )
    if sides != ("en", "zh"):
        raise DataError(
            f"code-switching needs a dictionary from English (en) to Chinese (zh); got {sides[0]} "
            f"to {sides[1]}; make it with word_translations(read_dictionary(path))"
        )
    if language == "zh":
        raise DataError(
            "code-switching puts Chinese words into English rows, but these rows are Chinese; "
            "give it the source rows"
        )
    words_found = (_look_up(m[0], dictionary) for text in texts for m in _WORD.finditer(text))
    if not any(words_found):
        raise DataError(
            f"the dictionary of {len(dictionary)} words knows none of the words of the rows"
        )
