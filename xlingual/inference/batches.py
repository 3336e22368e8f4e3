"""Run tokenised rows through a model, in padded batches under a token budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from xlingual.data.batching import map_batches, token_budget_batches

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Encoded", "Session", "run_batches"]

Encoded: TypeAlias = Mapping[str, list[int]]
"""One tokenised row: ``input_ids``, ``attention_mask`` and other outputs of the tokenizer."""

Session: TypeAlias = Callable[[dict[str, np.ndarray]], np.ndarray]
"""A model ready to run: int64 arrays of (rows, length) by input name -> float32 logits."""


def run_batches(
    session: Session,
    rows: Sequence[Encoded],
    *,
    tokenizer: PreTrainedTokenizerBase,
    budget: int,
) -> list[np.ndarray]:
    """The logits of every row, in the order of ``rows``, without those of padding.

    Shape:
        (labels,) per row from a classifier of texts, (length, labels) from a tagger.
    """
    lengths = [len(row["input_ids"]) for row in rows]
    on_the_left = tokenizer.padding_side == "left"

    def run(batch: list[int]) -> Iterator[np.ndarray]:
        output = session(_pad([rows[position] for position in batch], tokenizer))
        for position, logits in zip(batch, output, strict=True):
            own = slice(-lengths[position], None) if on_the_left else slice(lengths[position])
            yield logits[own] if logits.ndim == 2 else logits

    return map_batches(token_budget_batches(lengths, budget=budget), run)


def _pad(rows: Sequence[Encoded], tokenizer: PreTrainedTokenizerBase) -> dict[str, np.ndarray]:
    values = {"input_ids": tokenizer.pad_token_id, "token_type_ids": tokenizer.pad_token_type_id}
    longest = max(len(row["input_ids"]) for row in rows)
    batch = {}
    for name in rows[0]:
        padded = np.full((len(rows), longest), values.get(name, 0), dtype=np.int64)
        for line, row in zip(padded, rows, strict=True):
            length = len(row[name])
            line[longest - length if tokenizer.padding_side == "left" else 0 :][:length] = row[name]
        batch[name] = padded
    return batch
