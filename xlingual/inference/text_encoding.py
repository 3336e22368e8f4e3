"""Clean rows as the loader of training data does, and encode them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from xlingual.data.readers.cleaning import UnusableRowError, clean_field, clean_text
from xlingual.inference.batches import Encoded
from xlingual.inference.spans import join_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Text", "encode_texts", "read_row"]

_CHARACTERS_A_TOKEN = 64  # more than a usual token has; text of longer tokens is tokenised whole


class Text(NamedTuple):
    """A usable row.

    Args:
        texts: The cleaned text, or the two of a pair.
        original: The text as it was given, to which the offsets of spans refer.
        tokens: The cleaned tokens, if tokens were given; an invisible one is empty.
        ranges: The characters of ``texts[0]`` that each token covers.
    """

    texts: tuple[str, ...]
    original: str = ""
    tokens: tuple[str, ...] = ()
    ranges: tuple[tuple[int, int], ...] = ()


def read_row(row: Any, *, are_tokens: bool) -> Text:
    """Clean a row: a text, a ``(text, text_pair)`` tuple, or for tagging a text or its tokens.

    Args:
        row: The row as given.
        are_tokens: Whether the model is a tagger, for which a list holds tokens.

    Raises:
        UnusableRowError: The row has no text, or another type; the message is the reason.
    """
    if are_tokens:
        return _read_tokens(row) if isinstance(row, list | tuple) else _read_text(row)
    if isinstance(row, tuple):
        if len(row) != 2:
            raise UnusableRowError(f"expected a text or a pair; got {len(row)} values")
        first, second = row
        return Text((clean_field(first, column="text"), clean_field(second, column="text_pair")))
    return _read_text(row)


def _read_text(row: Any) -> Text:
    return Text((clean_field(row, column="text"),), original=row)


def _read_tokens(row: Sequence[Any]) -> Text:
    # A token of invisible characters keeps its place but adds nothing to the text.
    tokens = tuple("" if _is_blank(t) else clean_field(t, column="token") for t in row)
    if not any(tokens):
        raise UnusableRowError("no tokens")
    text, ranges = join_tokens(tokens)
    return Text((text,), tokens=tokens, ranges=tuple(ranges))


def _is_blank(token: object) -> bool:
    return isinstance(token, str) and not clean_text(token)


def encode_texts(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[tuple[str, ...]], *, max_length: int
) -> tuple[list[Encoded], list[bool]]:
    """Encode cleaned texts or pairs as in training, and tell which of them were truncated."""
    encoded: list[Encoded] = [{}] * len(texts)
    truncated = [False] * len(texts)
    by_kind: dict[int, list[int]] = defaultdict(list)
    for position, text in enumerate(texts):
        by_kind[len(text)].append(position)
    for positions in by_kind.values():
        columns = [list(part) for part in zip(*(texts[p] for p in positions), strict=True)]
        answers = _tokenize(tokenizer, *columns, max_length=max_length)
        for position, (row, is_cut) in zip(positions, answers, strict=True):
            encoded[position], truncated[position] = row, is_cut
    return encoded, truncated


def _tokenize(
    tokenizer: PreTrainedTokenizerBase, *columns: list[str], max_length: int
) -> list[tuple[Encoded, bool]]:
    limit = _CHARACTERS_A_TOKEN * max_length
    if len(columns) == 2 or all(len(text) <= limit for text in columns[0]):
        return _tokenize_whole(tokenizer, *columns, max_length=max_length)
    # Otherwise a book would be tokenised to its end for the sake of its first lines.
    heads = [text[:limit] for text in columns[0]]
    answers = _tokenize_whole(tokenizer, heads, max_length=max_length)
    return [
        answer
        if answer[1] or len(text) <= limit
        else _tokenize_whole(tokenizer, [text], max_length=max_length)[0]
        for answer, text in zip(answers, columns[0], strict=True)
    ]


def _tokenize_whole(
    tokenizer: PreTrainedTokenizerBase, *columns: list[str], max_length: int
) -> list[tuple[Encoded, bool]]:
    batch = tokenizer(*columns, truncation=True, max_length=max_length)
    # Only fast tokenizers report what they left out.
    left_out = [bool(one.overflowing) for one in batch.encodings or []]
    names = list(batch.keys())
    return [
        ({name: batch[name][place] for name in names}, is_cut)
        for place, is_cut in enumerate(left_out or [False] * len(columns[0]))
    ]
