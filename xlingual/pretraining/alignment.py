"""Tokens of two tokenizers, aligned by the characters that they stand for.

Two tokenizers cut one sentence at different places. A *chunk* is the shortest stretch of text that
is whole tokens of both: a place where no token of either goes across. Chinese needs no words for
that, and one character that became several tokens is one chunk.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["align_tokens"]

_BLOCK = 20_000  # sentences aligned at once
_SPACES = [ord(character) for character in " \t\n\r\x0b\x0c\xa0\u200b\u3000\ufeff"]

Spans = NDArray[np.int32]
Lengths = NDArray[np.int64]


def align_tokens(
    texts: Sequence[str], first: tuple[Spans, Lengths], second: tuple[Spans, Lengths]
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Number the chunk of every token of two tokenizers.

    Args:
        texts: Sentences.
        first: Characters ``[start, end)`` of the tokens of all sentences, shape ``(total, 2)``,
            and the number of tokens of each sentence, shape ``(texts,)``. Spaces at the ends of a
            token do not count; an empty span, as of a special token, is in no chunk.
        second: The same of the other tokenizer.

    Returns:
        For the tokens of the first and of the second, the number of the chunk in its sentence,
        counted from 0, or -1 for a token in no chunk that both have; each of shape ``(total,)``.
    """
    parts: list[tuple[NDArray[np.int16], NDArray[np.int16]]] = []
    at = [0, 0]
    for begin in range(0, len(texts), _BLOCK):
        block = slice(begin, begin + _BLOCK)
        sides = []
        for number, (spans, lengths) in enumerate((first, second)):
            total = int(lengths[block].sum())
            sides.append((spans[at[number] : at[number] + total], lengths[block]))
            at[number] += total
        parts.append(_align_block(texts[block], *sides))
    if not parts:
        return np.empty(0, np.int16), np.empty(0, np.int16)
    return np.concatenate([a for a, _ in parts]), np.concatenate([b for _, b in parts])


def _align_block(
    texts: Sequence[str], *sides: tuple[Spans, Lengths]
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """All sentences as one text, so that each step is one array operation."""
    characters = np.frombuffer("\n".join([*texts, ""]).encode("utf-32-le", "surrogatepass"), "<u4")
    text_lengths = np.fromiter((len(text) + 1 for text in texts), dtype=np.int64)
    text_starts = np.cumsum(text_lengths) - text_lengths
    spans = [
        _without_spaces(
            np.repeat(text_starts, lengths)[:, None] + span.astype(np.int64), characters
        )
        for span, lengths in sides
    ]
    is_token = [span[:, 1] > span[:, 0] for span in spans]
    is_inside = np.zeros(len(characters) + 1, dtype=np.int64)
    for span, valid in zip(spans, is_token, strict=True):
        # A token forbids a cut before each of its characters but the first.
        np.add.at(is_inside, span[valid, 0] + 1, 1)
        np.add.at(is_inside, span[valid, 1], -1)
    chunk_of_character = np.cumsum(np.cumsum(is_inside) <= 0) - 1
    counts = [
        np.bincount(chunk_of_character[span[valid, 0]], minlength=len(characters) + 1) > 0
        for span, valid in zip(spans, is_token, strict=True)
    ]
    shared = np.cumsum(counts[0] & counts[1])
    before_text = np.r_[0, shared][chunk_of_character[text_starts]]
    found = []
    for span, valid, (_, lengths) in zip(spans, is_token, sides, strict=True):
        chunk = chunk_of_character[np.minimum(span[:, 0], len(characters) - 1)]
        is_shared = valid & counts[0][chunk] & counts[1][chunk]
        number = shared[chunk] - 1 - np.repeat(before_text, lengths)
        found.append(np.where(is_shared, number, -1).astype(np.int16))
    return found[0], found[1]


def _without_spaces(spans: NDArray[np.int64], characters: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Move the ends of spans inwards past spaces; a span of spaces becomes empty."""
    is_text = ~np.isin(characters, _SPACES)
    positions = np.arange(len(characters))
    next_text = np.where(is_text, positions, len(characters))
    next_text = np.r_[np.minimum.accumulate(next_text[::-1])[::-1], len(characters)]
    last_text = np.r_[0, np.maximum.accumulate(np.where(is_text, positions + 1, 0))]
    starts, ends = next_text[spans[:, 0]], last_text[spans[:, 1]]
    is_empty = (spans[:, 0] >= spans[:, 1]) | (ends <= starts)
    starts = np.where(is_empty, spans[:, 0], starts)
    return np.stack([starts, np.where(is_empty, starts, ends)], axis=1)
