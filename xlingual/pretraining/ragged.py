"""Rows of different lengths in one tensor, so that a padded batch is one gather on any device."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerFast

__all__ = ["RaggedRows", "tokenise"]

_BLOCK = 20_000  # sentences that are tokenised at once


class RaggedRows:
    """Values of many sentences, one after the other.

    Args:
        values: Token ids, or vectors, of all rows, shape ``(total, ...)``.
        lengths: Number of values of each row; they stay on the CPU too, so that the width of a
            batch is known there without waiting for a GPU.
    """

    def __init__(self, values: Tensor, lengths: NDArray[np.int64]) -> None:
        self.values = values
        self.lengths = lengths
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
        self._starts = torch.from_numpy(starts).to(values.device)
        self._lengths = torch.from_numpy(lengths).to(values.device)

    def __len__(self) -> int:
        return len(self.lengths)

    def to(self, device: torch.device | str) -> RaggedRows:
        """The same rows on ``device``."""
        return RaggedRows(self.values.to(device), self.lengths)

    def padded(self, rows: NDArray[np.int64], fill: int) -> tuple[Tensor, Tensor]:
        """The chosen rows, padded to the longest.

        Args:
            rows: Row numbers, shape ``(batch,)``.
            fill: Value of the padding.

        Returns:
            Values of shape ``(batch, width, ...)`` and a mask of shape ``(batch, width)``.
        """
        chosen = self._on_device(rows)
        position = torch.arange(int(self.lengths[rows].max()), device=self.values.device)
        mask = position < self._lengths[chosen, None]
        return self._gather(self._starts[chosen, None] + position, mask, fill), mask

    def joined(
        self,
        first: NDArray[np.int64],
        second: NDArray[np.int64],
        fill: int,
        *,
        max_length: int = 128,
    ) -> tuple[Tensor, Tensor]:
        """``[CLS] a [SEP]`` and ``[CLS] b [SEP]`` as ``[CLS] a [SEP] b [SEP]``, padded.

        Args:
            first: Row numbers, shape ``(batch,)``.
            second: The rows that follow them.
            fill: Value of the padding.
            max_length: Values kept of each pair.
        """
        width = min(int((self.lengths[first] + self.lengths[second]).max()) - 1, max_length)
        position = torch.arange(width, device=self.values.device)
        a, b = self._on_device(first), self._on_device(second)
        ends = self._lengths[a, None]
        mask = position < ends + self._lengths[b, None] - 1
        in_second = self._starts[b, None] + position - ends + 1
        where = torch.where(position < ends, self._starts[a, None] + position, in_second)
        return self._gather(where, mask, fill), mask

    def _on_device(self, rows: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(np.asarray(rows)).to(self.values.device, non_blocking=True)

    def _gather(self, where: Tensor, mask: Tensor, fill: int) -> Tensor:
        found = self.values[where.clamp(max=len(self.values) - 1)]
        if not found.is_floating_point():
            found = found.long()
        mask = mask.reshape(*mask.shape, *[1] * (found.ndim - mask.ndim))
        return torch.where(mask, found, torch.full_like(found[:1, :1], fill))


def tokenise(
    texts: Sequence[str],
    tokenizer: PreTrainedTokenizerFast,
    *,
    max_length: int,
    with_spans: bool = False,
) -> tuple[RaggedRows, NDArray[np.int32] | None]:
    """Token ids of the texts, special tokens included.

    Args:
        texts: Sentences.
        tokenizer: Fast tokenizer.
        max_length: Tokens kept of each.
        with_spans: Say which characters the tokens stand for.

    Returns:
        The ids, and characters ``[start, end)`` of every token in its text, shape ``(total, 2)``,
        ``[0, 0)`` for special tokens; None if they were not asked for.
    """
    ids, lengths, spans = [], [], []
    for start in range(0, len(texts), _BLOCK):
        encoded = tokenizer(
            list(texts[start : start + _BLOCK]),
            truncation=True,
            max_length=max_length,
            return_attention_mask=False,
            return_offsets_mapping=with_spans,
        )
        rows = encoded["input_ids"]
        lengths.append(np.fromiter((len(row) for row in rows), dtype=np.int64))
        ids.append(np.fromiter((i for row in rows for i in row), dtype=np.int32))
        if with_spans:
            ends = (end for row in encoded["offset_mapping"] for span in row for end in span)
            spans.append(np.fromiter(ends, dtype=np.int32))
    rows_of_ids = RaggedRows(torch.from_numpy(np.concatenate(ids)), np.concatenate(lengths))
    return rows_of_ids, np.concatenate(spans).reshape(-1, 2) if with_spans else None
