"""Poisson sampling: the batches of differentially private training."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

__all__ = ["PoissonBatches"]


class PoissonBatches(Sampler[list[int]]):
    r"""Batches in which each row is with probability *q*, whatever the other rows do.

    The privacy of subsampling is proved for such batches, and not for a shuffled order. A batch
    that comes out empty is the row number *n*, one after the last: the caller puts a row of weight
    0 there, so that the step adds noise alone, as the proof wants it.

    Args:
        num_rows: *n*.
        sample_rate: *q*; a batch has *qn* rows on average.
        seed: Repeats the batches; None draws from the system's randomness.
    """

    def __init__(self, num_rows: int, *, sample_rate: float, seed: int | None = None) -> None:
        self.num_rows = num_rows
        self.sample_rate = sample_rate
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the batches of this epoch; only those of a seed can be chosen again."""
        self.epoch = epoch

    def __len__(self) -> int:
        return max(1, int(1 / self.sample_rate))

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(len(self)):
            entropy = None if self.seed is None else [self.seed, self.epoch, step]
            draws = np.random.default_rng(entropy).random(self.num_rows)
            yield np.flatnonzero(draws < self.sample_rate).tolist() or [self.num_rows]
