"""Clean texts and tokens, reject rows that cannot be used, and find test rows seen in training."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xlingual.data.readers.text_files import has_undecodable
from xlingual.errors import OutputError

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = [
    "UnusableRowError",
    "clean_field",
    "clean_text",
    "clean_tokens",
    "find_overlap",
    "write_rejected",
]

# Line breaks and separators are replaced by a newline or a space, as tokenizers expect.
_LINE_BREAKS = re.compile("\r\n?|\u2028|\u2029")
_SEPARATORS = re.compile("[\x0b\x0c\x1c-\x1f\x85]")
# Controls, soft hyphens, zero-width spaces, direction marks, byte-order marks.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u200b\u200c\u200e\u200f\u202a-\u202e"
    "\u2060-\u2064\u2066-\u2069\ufeff]"
)
# A zero-width joiner is kept only after an emoji, where it has a visible effect.
_STRAY_JOINER = re.compile("(?<![\u2600-\u27bf\ufe0f\U0001f000-\U0001faff])\u200d")
_NOT_WORD = re.compile(r"[\W_]+")


class UnusableRowError(ValueError):
    """A row that cannot be used; the message is the reason that is reported."""


def clean_text(text: str) -> str:
    """Remove outer white space and invisible characters from a text.

    Everything else is kept: case, full-width forms, traditional characters, inner spaces.

    Example:
        >>> clean_text("\\ufeff　房间很\\u200b干净。 \\r\\n")
        '房间很干净。'
    """
    if not text.isprintable():  # the fast path: almost all texts are
        text = _LINE_BREAKS.sub("\n", text)
        text = _SEPARATORS.sub(" ", text)
        text = _INVISIBLE.sub("", text)
        text = _STRAY_JOINER.sub("", text)
    return text.strip()


def clean_field(value: object, *, column: str) -> str:
    """Check and clean the text in a field of a row.

    Raises:
        UnusableRowError: It is missing, empty, not text, or holds bytes that could not be decoded.
    """
    if value is None or value != value:  # NaN, which data frames use for a missing text
        raise UnusableRowError(f"no {column}")
    if not isinstance(value, str):
        raise UnusableRowError(f"the {column} is of type {type(value).__name__}, not a string")
    if has_undecodable(value):
        raise UnusableRowError(f"the {column} holds bytes that are not in the file's encoding")
    text = clean_text(value)
    if not text:
        raise UnusableRowError(f"empty {column}")
    return text


def clean_tokens(tokens: object, tags: Sequence[str] | None) -> tuple[list[str], list[str] | None]:
    """Check and clean tokens and their tags, and drop tokens of invisible characters.

    Args:
        tokens: A list of strings, or one string with spaces between the tokens.
        tags: One tag per token, or ``None`` if there are no tags.

    Raises:
        UnusableRowError: There are no tokens, one is not text, the numbers of tags and tokens
            differ, or an entity begins on an invisible token.
    """
    if isinstance(tokens, str):
        tokens = tokens.split()
    if not isinstance(tokens, list) or not tokens:
        raise UnusableRowError(
            "no tokens" if not tokens else "the tokens are not a list of strings"
        )
    if tags is not None and len(tags) != len(tokens):
        raise UnusableRowError(f"{len(tokens)} tokens but {len(tags)} tags")
    kept: list[str] = []
    kept_tags: list[str] = []
    for position, token in enumerate(tokens):
        tag = tags[position] if tags is not None else "O"
        if isinstance(token, str) and not clean_text(token):
            if tag.startswith("B-"):
                raise UnusableRowError(f"token {position + 1} is empty but tagged {tag!r}")
            continue
        kept.append(clean_field(token, column="token"))
        kept_tags.append(tag)
    if not kept:
        raise UnusableRowError("no tokens")
    return kept, None if tags is None else kept_tags


def find_overlap(
    train: Iterable[Dataset], test: Dataset, *, columns: Sequence[str] = ("text",)
) -> int:
    """Count the test texts that also occur in the training sets: a leak that inflates the score.

    Only letters, digits and Chinese characters are compared (NFKC, case-folded), so an extra full
    stop or a full-width comma does not hide a copy.

    Args:
        train: All training sets.
        test: The test set.
        columns: The task's input columns; all of them must agree.

    Returns:
        The number of such test rows, repetitions included. Rows without a letter or digit never
        count.
    """
    tested = [_fingerprint(text) for text in _inputs(test, columns)]
    wanted = set(tested)
    seen = {
        fingerprint
        for dataset in train
        for text in _inputs(dataset, columns)
        if (fingerprint := _fingerprint(text)) in wanted
    }
    return sum(fingerprint in seen for fingerprint in tested if fingerprint.strip("\0"))


def write_rejected(path: str | Path, rejected: Iterable[Mapping[str, Any]]) -> int:
    """Write rejected rows as JSON Lines in readable UTF-8; without rows no file is written.

    Args:
        path: Usually ``output_dir/rejected_rows.jsonl``.
        rejected: The concatenated ``rejected`` lists of the loaded sets.

    Returns:
        The number of rows written.

    Raises:
        OutputError: The file cannot be written.
    """
    lines = [json.dumps(row, ensure_ascii=False, default=str) for row in rejected]
    if not lines:
        return 0
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        # Bytes that could not be decoded are lone surrogates; as escapes they remain valid JSON.
        with open(path, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.writelines(line + "\n" for line in lines)
    except OSError as error:
        raise OutputError(f"cannot write the rejected rows to {path}: {error}") from error
    return len(lines)


def _inputs(dataset: Dataset, columns: Sequence[str]) -> Iterator[tuple[str | list[str], ...]]:
    for batch in dataset.select_columns(list(columns)).with_format(None).iter(batch_size=1_000):
        yield from zip(*(batch[column] for column in columns), strict=True)


def _fingerprint(inputs: Iterable[str | Sequence[str]]) -> str:
    texts = (text if isinstance(text, str) else " ".join(text) for text in inputs)
    folded = (unicodedata.normalize("NFKC", text).casefold() for text in texts)
    return "\0".join(_NOT_WORD.sub("", text) for text in folded)
