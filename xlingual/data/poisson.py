"""Poisson sampling of batches for differentially private training."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

__all__ = ["PoissonBatches"]


class PoissonBatches(Sampler[list[int]]):
    r"""Batches that contain each row with probability *q*, independently of the other rows.

    The privacy of subsampling is proved for such batches, not for a shuffled order. An empty batch
    is returned as the index *n*, one past the last row: the caller puts a row of weight 0 there, so
    that the step adds noise only, as the proof requires.

    Args:
        num_rows: *n*.
        sample_rate: *q*; a batch has *qn* rows on average.
        seed: Makes the batches reproducible; None uses the randomness of the system.
    """

    def __init__(self, num_rows: int, *, sample_rate: float, seed: int | None = None) -> None:
        self.num_rows = num_rows
        self.sample_rate = sample_rate
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, which determines the batches together with the seed."""
        self.epoch = epoch

    def __len__(self) -> int:
        return max(1, int(1 / self.sample_rate))

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(len(self)):
            entropy = None if self.seed is None else [self.seed, self.epoch, step]
            draws = np.random.default_rng(entropy).random(self.num_rows)
            yield np.flatnonzero(draws < self.sample_rate).tolist() or [self.num_rows]
