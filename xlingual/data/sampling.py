"""The order of training rows: length buckets and a fixed share of target rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Sampler

from xlingual.errors import ConfigError

__all__ = ["TransferSampler"]

_BATCHES_PER_BUCKET = 50


class TransferSampler(Sampler[int]):
    """Shuffles rows, keeps similar lengths together, and can fix the share of target rows.

    The rows are shuffled and cut into buckets of 50 batches; a bucket is sorted by length and its
    batches are shuffled, so batches need little padding while their content stays random. With
    ``target_share`` every batch holds that share of target rows: an epoch goes through the source
    once, and through the target as often as needed (Schmidt et al. 2022, "Don't Stop Fine-Tuning",
    up-sample the shots in this way).

    The order depends only on ``seed`` and the epoch, so a resumed run, and every process of a
    distributed one, sees the rows that an uninterrupted single run would see.

    Args:
        lengths: Tokens of each row.
        batch_size: Rows of a batch of one process; consecutive indices form its batches.
        domains: 0 (source) or 1 (target) of each row; needed for ``target_share``.
        target_share: Target rows in a batch, as a share in (0, 1); None keeps the proportions
            of the data.
        seed: Seed of the order.

    Raises:
        ConfigError: ``target_share`` is outside (0, 1), leaves no room for one of the domains in a
            batch, or one domain has no rows.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        *,
        batch_size: int,
        domains: Sequence[int] | None = None,
        target_share: float | None = None,
        seed: int = 0,
    ) -> None:
        self.lengths = torch.as_tensor(lengths)
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0
        everything = torch.arange(len(self.lengths))
        self.parts = [(everything, batch_size)]
        if target_share is not None:
            self.parts = self._split(everything, domains, target_share)
        self.num_batches = max(1, math.ceil(len(self.parts[0][0]) / self.parts[0][1]))

    def _split(
        self, rows: torch.Tensor, domains: Sequence[int] | None, target_share: float
    ) -> list[tuple[torch.Tensor, int]]:
        """The rows of each domain and how many of them are in a batch, source first."""
        num_target = round(self.batch_size * target_share)
        if not 0 < num_target < self.batch_size:
            raise ConfigError(
                f"target_share must leave at least one row of each domain in a batch of "
                f"{self.batch_size}; got {target_share}"
            )
        is_target = torch.as_tensor(domains if domains is not None else []) == 1
        if is_target.all() or not is_target.any():
            raise ConfigError(
                "target_share mixes source and target rows, but the training data holds one "
                "domain only; leave it out or give --target_train"
            )
        return [(rows[~is_target], self.batch_size - num_target), (rows[is_target], num_target)]

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, which determines the order together with the seed."""
        self.epoch = epoch

    def __len__(self) -> int:
        if len(self.parts) == 1:
            return len(self.lengths)
        return self.num_batches * self.batch_size

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        streams = [
            self._bucketed(self._cycle(rows, size, generator), size) for rows, size in self.parts
        ]
        order = torch.randperm(self.num_batches, generator=generator).tolist()
        if len(self.parts) == 1:  # the short batch stays last, where the loader expects it
            order = [batch for batch in order if batch != self.num_batches - 1]
            order.append(self.num_batches - 1)
        for batch in order:
            for (_, size), stream in zip(self.parts, streams, strict=True):
                yield from stream[batch * size : (batch + 1) * size].tolist()

    def _cycle(self, rows: torch.Tensor, size: int, generator: torch.Generator) -> torch.Tensor:
        """Enough shuffled passes over the rows to fill every batch of the epoch."""
        if len(self.parts) == 1:
            return rows[torch.randperm(len(rows), generator=generator)]
        wanted = self.num_batches * size
        passes = [
            rows[torch.randperm(len(rows), generator=generator)]
            for _ in range(math.ceil(wanted / len(rows)))
        ]
        return torch.cat(passes)[:wanted]

    def _bucketed(self, rows: torch.Tensor, size: int) -> torch.Tensor:
        """Sort by length within buckets of 50 batches, longest first."""
        buckets = [
            bucket[torch.argsort(self.lengths[bucket], descending=True, stable=True)]
            for bucket in rows.split(size * _BATCHES_PER_BUCKET)
        ]
        return torch.cat(buckets)
