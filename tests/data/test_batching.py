from __future__ import annotations

from hypothesis import given, strategies as st

from xlingual.data.batching import (
    longest_first,
    map_batches,
    sorted_batches,
    token_budget_batches,
)


@given(st.lists(st.integers(1, 60), max_size=40), st.integers(1, 200))
def test_batches_hold_every_row_once_and_keep_to_the_budget(lengths, budget):
    batches = list(token_budget_batches(lengths, budget=budget))
    assert sorted(place for batch in batches for place in batch) == list(range(len(lengths)))
    longest = [max(lengths[place] for place in batch) for batch in batches]
    assert longest == sorted(longest, reverse=True)
    for batch, length in zip(batches, longest, strict=True):
        assert len(batch) == 1 or len(batch) * length <= budget


@given(st.lists(st.integers(1, 60), max_size=40), st.integers(1, 7))
def test_results_come_in_the_order_of_the_rows(lengths, batch_size):
    seen = []

    def run(batch: list[int]) -> list[int]:
        seen.append([lengths[place] for place in batch])
        return [100 * place + lengths[place] for place in batch]

    found = map_batches(sorted_batches(lengths, batch_size=batch_size), run)
    assert found == [100 * place + length for place, length in enumerate(lengths)]
    assert all(len(batch) == batch_size for batch in seen[:-1])
    assert [n for batch in seen for n in batch] == sorted(lengths, reverse=True)


def test_the_longest_row_comes_first():
    assert longest_first([3, 9, 1]).tolist() == [1, 0, 2]
    assert longest_first([]).tolist() == []
