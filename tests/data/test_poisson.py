"""Poisson batches: each row independently, with the same probability."""

from __future__ import annotations

import numpy as np
import pytest

from xlingual.data.poisson import PoissonBatches


def drawn(batches: PoissonBatches, num_epochs: int) -> np.ndarray:
    """(batches, rows): which rows each batch contains."""
    table = []
    for epoch in range(num_epochs):
        batches.set_epoch(epoch)
        for batch in batches:
            table.append(np.isin(np.arange(batches.num_rows), batch))
    return np.array(table)


def test_rows_are_drawn_by_themselves_at_the_rate():
    table = drawn(PoissonBatches(40, sample_rate=0.25, seed=0), 500).astype(float)
    assert len(table) == 2000
    assert table.mean(axis=0) == pytest.approx(0.25, abs=0.05)
    sizes = table.sum(axis=1)
    assert sizes.var() == pytest.approx(40 * 0.25 * 0.75, rel=0.15), "not a fixed batch size"
    correlation = np.corrcoef(table.T) - np.eye(40)
    assert np.abs(correlation).max() < 0.12


def test_an_empty_batch_is_the_row_after_the_last():
    batches = [next(iter(PoissonBatches(3, sample_rate=1e-9, seed=0))) for _ in "ab"]
    assert batches == [[3], [3]]


def test_a_seed_repeats_and_none_does_not():
    first, second = (drawn(PoissonBatches(50, sample_rate=0.2, seed=5), 3) for _ in range(2))
    assert (first == second).all()
    assert (first[:5] != first[5:10]).any(), "epochs differ"
    free = [drawn(PoissonBatches(50, sample_rate=0.2), 3) for _ in range(2)]
    assert (free[0] != free[1]).any()


@pytest.mark.parametrize(("rate", "length"), [(1.0, 1), (0.3, 3), (0.25, 4)])
def test_an_epoch_is_one_pass_on_average(rate, length):
    assert len(PoissonBatches(10, sample_rate=rate)) == length
