"""Rows of tokens into padded batches that waste little: sorted by length, under a token budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Encoded", "Session", "run_batches", "token_budget_batches"]

Encoded: TypeAlias = Mapping[str, list[int]]
"""One tokenised row: ``input_ids``, ``attention_mask`` and what else the tokenizer makes."""

Session: TypeAlias = Callable[[dict[str, np.ndarray]], np.ndarray]
"""A model that runs: int64 arrays of (rows, length) by input name -> float32 logits."""


def token_budget_batches(lengths: Sequence[int], *, budget: int) -> Iterator[list[int]]:
    """Positions of rows in batches of at most ``budget`` tokens, padding included.

    The longest rows come first, so that a batch which does not fit into the memory fails at once.
    A row that is longer than the budget is a batch of its own.

    Args:
        lengths: Tokens of each row.
        budget: The most that rows x longest row of a batch may be.
    """
    batch: list[int] = []
    for position in np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable").tolist():
        if batch and (len(batch) + 1) * lengths[batch[0]] > budget:
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch


def run_batches(
    session: Session,
    rows: Sequence[Encoded],
    *,
    tokenizer: PreTrainedTokenizerBase,
    budget: int,
) -> list[np.ndarray]:
    """The logits of every row, in the order of ``rows``, without those of padding.

    Shape:
        (labels,) a row from a model that classifies texts, (length, labels) from one that tags.
    """
    logits: list[np.ndarray] = [np.empty(0)] * len(rows)
    lengths = [len(row["input_ids"]) for row in rows]
    on_the_left = tokenizer.padding_side == "left"
    for batch in token_budget_batches(lengths, budget=budget):
        output = session(_pad([rows[position] for position in batch], tokenizer))
        for position, answer in zip(batch, output, strict=True):
            if answer.ndim == 2:
                length = lengths[position]
                answer = answer[-length:] if on_the_left else answer[:length]
            logits[position] = answer
    return logits


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
