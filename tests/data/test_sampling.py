from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import assume, given, settings, strategies as st

from xlingual.data import TransferSampler
from xlingual.errors import ConfigError

LENGTHS = st.lists(st.integers(1, 128), min_size=1, max_size=300)
BATCH_SIZES = st.integers(1, 40)


def batches(order: list[int], size: int) -> list[list[int]]:
    return [order[start : start + size] for start in range(0, len(order), size)]


def padding(lengths: list[int], order: list[int], size: int) -> int:
    """Positions of the padded batches that hold no token."""
    return sum(
        max(lengths[row] for row in batch) * len(batch) - sum(lengths[row] for row in batch)
        for batch in batches(order, size)
    )


@settings(deadline=None)
@given(LENGTHS, BATCH_SIZES, st.integers(0, 9), st.integers(0, 3))
def test_every_row_exactly_once(lengths: list[int], size: int, seed: int, epoch: int) -> None:
    sampler = TransferSampler(lengths, batch_size=size, seed=seed)
    sampler.set_epoch(epoch)
    order = list(sampler)
    assert sorted(order) == list(range(len(lengths)))
    assert len(sampler) == len(order)


@st.composite
def domains_and_share(draw: st.DrawFn) -> tuple[list[int], int, float, int]:
    num_source, num_targets = draw(st.integers(1, 120)), draw(st.integers(1, 60))
    domains = draw(st.permutations([0] * num_source + [1] * num_targets))
    size = draw(st.integers(2, 24))
    share = draw(st.floats(0.05, 0.95))
    num_target = round(size * share)
    assume(0 < num_target < size)
    return domains, size, share, num_target


@settings(deadline=None)
@given(domains_and_share(), st.integers(0, 9))
def test_a_share_of_targets_in_every_batch(
    case: tuple[list[int], int, float, int], seed: int
) -> None:
    domains, size, share, num_target = case
    lengths = [1 + row % 17 for row in range(len(domains))]
    sampler = TransferSampler(
        lengths, batch_size=size, domains=domains, target_share=share, seed=seed
    )
    order = list(sampler)
    assert len(sampler) == len(order)
    assert len(order) % size == 0
    for batch in batches(order, size):
        assert sum(domains[row] for row in batch) == num_target

    seen = Counter(order)
    source = [row for row, domain in enumerate(domains) if domain == 0]
    target = [row for row, domain in enumerate(domains) if domain == 1]
    per_batch = size - num_target
    # Each source row once; the last batch is filled up from a second pass, never a third at once.
    extra = -len(source) % per_batch
    counts = [seen[row] for row in source]
    assert min(counts) >= 1
    assert sum(counts) == len(source) + extra
    if extra <= len(source):
        assert max(counts) <= 2
    # The target rows are repeated evenly: no row is seen twice more than another.
    turns = [seen[row] for row in target]
    assert max(turns) - min(turns) <= 1


def test_full_batches_hold_every_source_row_once() -> None:
    domains = [0] * 96 + [1] * 7
    sampler = TransferSampler([5] * 103, batch_size=16, domains=domains, target_share=0.25)
    seen = Counter(sampler)
    assert [seen[row] for row in range(96)] == [1] * 96
    assert {seen[row] for row in range(96, 103)} == {4, 5}  # 32 places for 7 rows


@pytest.mark.parametrize("share", [None, 0.5])
def test_the_order_is_decided_by_seed_and_epoch(share: float | None) -> None:
    lengths = torch.randint(3, 60, (200,), generator=torch.Generator().manual_seed(0)).tolist()
    domains = [int(row >= 150) for row in range(200)]

    def order(seed: int, epoch: int) -> tuple[int, ...]:
        sampler = TransferSampler(
            lengths, batch_size=8, domains=domains, target_share=share, seed=seed
        )
        if epoch:
            list(sampler)  # what was read before does not matter
            sampler.set_epoch(epoch)
        return tuple(sampler)

    assert order(3, 0) == order(3, 0)
    assert order(3, 2) == order(3, 2)
    different = {order(seed, epoch) for seed in range(3) for epoch in range(3)}
    assert len(different) == 9


def test_batches_are_shuffled_too() -> None:
    lengths = list(range(1, 401))  # one bucket
    sampler = TransferSampler(lengths, batch_size=8)
    longest = [max(lengths[row] for row in batch) for batch in batches(list(sampler), 8)]
    assert longest != sorted(longest)
    assert longest != sorted(longest, reverse=True)


@settings(deadline=None)
@given(st.integers(0, 20))
def test_less_padding_than_in_random_order(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(3, 128, (640,), generator=generator).tolist()
    shuffled = torch.randperm(640, generator=generator).tolist()
    ordered = list(TransferSampler(lengths, batch_size=16, seed=seed))
    assert padding(lengths, ordered, 16) < 0.3 * padding(lengths, shuffled, 16)


def test_the_short_batch_is_the_last() -> None:
    lengths = list(range(1, 104))
    for seed in range(5):
        order = list(TransferSampler(lengths, batch_size=10, seed=seed))
        tail = order[100:]
        full = batches(order[:100], 10)
        # If the short batch were elsewhere, a full one would mix the ends of two sorted runs.
        assert all(max(batch) - min(batch) < 40 for batch in full)
        assert len(tail) == 3


@pytest.mark.parametrize(
    ("num_rows", "size"), [(1, 1), (1, 32), (3, 32), (32, 32), (33, 32), (7, 1)]
)
def test_few_rows(num_rows: int, size: int) -> None:
    sampler = TransferSampler([4] * num_rows, batch_size=size)
    assert sorted(sampler) == list(range(num_rows))
    assert len(sampler) == num_rows


def test_fewer_rows_than_a_batch_with_a_share() -> None:
    sampler = TransferSampler([3, 9, 5], batch_size=8, domains=[0, 0, 1], target_share=0.5)
    order = list(sampler)
    assert Counter(order) == {0: 2, 1: 2, 2: 4}


def test_no_rows() -> None:
    sampler = TransferSampler([], batch_size=4)
    assert (len(sampler), list(sampler)) == (0, [])


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, 0.05, 0.99])
def test_a_share_that_leaves_a_domain_out(share: float) -> None:
    with pytest.raises(ConfigError, match=rf"one row of each domain in a batch of 8; got {share}"):
        TransferSampler([1] * 4, batch_size=8, domains=[0, 0, 1, 1], target_share=share)


def test_a_share_of_a_batch_of_one() -> None:
    with pytest.raises(ConfigError, match="a batch of 1"):
        TransferSampler([1, 1], batch_size=1, domains=[0, 1], target_share=0.5)


@pytest.mark.parametrize("domains", [[0, 0, 0], [1, 1, 1], None])
def test_a_share_needs_two_domains(domains: list[int] | None) -> None:
    with pytest.raises(ConfigError, match=r"one domain only; .*--target_train"):
        TransferSampler([1] * 3, batch_size=8, domains=domains, target_share=0.5)
