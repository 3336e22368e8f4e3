"""Batches of rows of similar length, longest first, with results in the order of the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["longest_first", "map_batches", "sorted_batches", "token_budget_batches"]

Result = TypeVar("Result")


def longest_first(lengths: Sequence[int]) -> NDArray[np.int64]:
    """Positions of rows from the longest to the shortest.

    Batches then need little padding, and one that is too large for the memory fails at the start.
    """
    return np.argsort(np.asarray(lengths, dtype=np.int64), kind="stable")[::-1]


def sorted_batches(lengths: Sequence[int], *, batch_size: int) -> Iterator[list[int]]:
    """Yield the positions of rows of similar length, ``batch_size`` at a time, longest first."""
    order = longest_first(lengths).tolist()
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def token_budget_batches(lengths: Sequence[int], *, budget: int) -> Iterator[list[int]]:
    """Yield the positions of rows in batches of at most ``budget`` tokens, padding included.

    The longest rows come first. A row that is longer than the budget is a batch of its own.

    Args:
        lengths: Tokens of each row.
        budget: Upper limit for the rows of a batch times the length of its longest row.
    """
    batch: list[int] = []
    for position in longest_first(lengths).tolist():
        if batch and (len(batch) + 1) * lengths[batch[0]] > budget:
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch


def map_batches(
    batches: Iterable[list[int]], run: Callable[[list[int]], Iterable[Result]]
) -> list[Result]:
    """Run a function on every batch and return the results in the order of the rows.

    Args:
        batches: Batches of positions, with each position once.
        run: Returns one result for each position of a batch.
    """
    results: dict[int, Result] = {}
    for batch in batches:
        results.update(zip(batch, run(batch), strict=True))
    return [results[position] for position in range(len(results))]
