"""Overlapping windows of tokens for tagging long texts, merged into one prediction per token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from xlingual.inference.batches import Encoded
from xlingual.inference.spans import Piece

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Window", "encode_windows", "merge_windows"]


class Window(NamedTuple):
    """A stretch of a row's tokens, as long as the model can read.

    Args:
        row: Index of its row.
        first: Index of its first token in the row, special tokens not counted.
        encoded: Its inputs.
        content: Positions of its tokens other than special ones.
        offsets: The character range of each of those, without white space; ``None`` if empty.
    """

    row: int
    first: int
    encoded: Encoded
    content: list[int]
    offsets: list[tuple[int, int] | None]


def encode_windows(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], *, max_length: int
) -> list[Window]:
    """Tokenise whole texts, in windows that share a quarter of their tokens.

    A token near the edge of a window lacks context; thanks to the overlap, a window where it is
    further inside can decide.
    """
    capacity = max_length - tokenizer.num_special_tokens_to_add(pair=False)
    stride = capacity // 4
    batch = tokenizer(
        list(texts),
        truncation=True,
        max_length=max_length,
        stride=stride,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
    )
    ours = ("overflow_to_sample_mapping", "offset_mapping", "special_tokens_mask")
    inputs = [name for name in batch if name not in ours]
    windows: list[Window] = []
    for position, row in enumerate(batch["overflow_to_sample_mapping"]):
        follows = bool(windows) and windows[-1].row == row
        special = batch["special_tokens_mask"][position]
        content = [place for place, is_special in enumerate(special) if not is_special]
        tokens = batch.tokens(position)
        offsets = batch["offset_mapping"][position]
        windows.append(
            Window(
                row=row,
                first=windows[-1].first + capacity - stride if follows else 0,
                encoded={name: batch[name][position] for name in inputs},
                content=content,
                offsets=[_visible(texts[row], tokens[p], *offsets[p]) for p in content],
            )
        )
    return windows


def merge_windows(
    windows: Sequence[Window],
    logits: Sequence[np.ndarray],
    *,
    num_rows: int,
    probabilities: Callable[[np.ndarray], np.ndarray],
) -> list[list[Piece]]:
    """The pieces of every row, each from the window where it is furthest from an edge."""
    best: list[dict[int, tuple[int, Piece]]] = [{} for _ in range(num_rows)]
    for window, answer in zip(windows, logits, strict=True):
        probs = probabilities(answer)
        last = len(window.content) - 1
        for place, (position, offsets) in enumerate(
            zip(window.content, window.offsets, strict=True)
        ):
            if offsets is None:
                continue
            number, depth = window.first + place, min(place, last - place)
            known = best[window.row].get(number)
            if known is None or depth > known[0]:
                best[window.row][number] = (depth, Piece(*offsets, probs[position]))
    return [[row[number][1] for number in sorted(row)] for row in best]


def _visible(text: str, token: str, start: int, end: int) -> tuple[int, int] | None:
    """The characters of a token without the white space that some tokenizers include.

    Tokenizers report that SentencePiece's bare ``▁`` covers the first character of the next word.
    """
    if not token.strip("▁"):
        return None
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return (start, end) if start < end else None
