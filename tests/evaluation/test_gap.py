"""Transfer gap, target mean, worst target, gap recovered."""

from __future__ import annotations

import math

import numpy as np
import pytest

from xlingual.errors import DataError
from xlingual.evaluation import (
    BootstrapScore,
    gap_recovered,
    resample_classification,
    transfer_summary,
)

NUM_ROWS = 400


def accuracy_of(share_right: float, *, seed: int = 0, num_resamples: int = 4000) -> BootstrapScore:
    is_right = np.arange(NUM_ROWS) < round(share_right * NUM_ROWS)
    return resample_classification(
        references=np.ones(NUM_ROWS, dtype=int),
        predictions=is_right.astype(int),
        label_names=["差评", "好评"],
        num_resamples=num_resamples,
        seed=seed,
    )["accuracy"]


def test_values_and_worst_target() -> None:
    summary = transfer_summary(
        source=accuracy_of(0.9),
        targets={"酒店": accuracy_of(0.8), "书": accuracy_of(0.6), "news": accuracy_of(0.7)},
    )
    assert summary.source.value == pytest.approx(0.9)
    assert summary.target_mean.value == pytest.approx(0.7)
    assert summary.transfer_gap.value == pytest.approx(0.2)
    assert summary.worst_target == "书"
    assert summary.worst_target_score.value == pytest.approx(0.6)
    for interval in (summary.target_mean, summary.transfer_gap, summary.worst_target_score):
        assert interval.low < interval.value < interval.high


def test_gap_interval_is_that_of_independent_sets_even_with_one_seed() -> None:
    # Same rows, same seed: without the shuffle every resampled gap would be exactly 0.
    same = accuracy_of(0.8)
    summary = transfer_summary(source=same, targets={"a": same, "b": same})
    variance = 0.8 * 0.2 / NUM_ROWS
    half_width = 1.96 * math.sqrt(variance + variance / 2)  # var(source) + var(mean of two)
    assert summary.transfer_gap.value == pytest.approx(0.0)
    assert summary.transfer_gap.high == pytest.approx(half_width, rel=0.1)
    assert summary.transfer_gap.low == pytest.approx(-half_width, rel=0.1)


def test_one_target_keeps_its_own_interval() -> None:
    target = accuracy_of(0.7)
    summary = transfer_summary(source=accuracy_of(0.9), targets={"hotel": target})
    assert summary.target_mean == summary.worst_target_score == target.interval()


def test_order_of_targets_does_not_matter_and_ties_go_by_name() -> None:
    source, first, second = accuracy_of(0.9), accuracy_of(0.7, seed=1), accuracy_of(0.7, seed=2)
    forward = transfer_summary(source=source, targets={"b": first, "a": second})
    backward = transfer_summary(source=source, targets={"a": second, "b": first})
    assert forward == backward
    assert forward.worst_target == "a"


def test_results_are_flat() -> None:
    results = transfer_summary(
        source=accuracy_of(0.9), targets={"hotel": accuracy_of(0.7)}
    ).to_results()
    assert results["worst_target"] == "hotel"
    assert set(results) == {"worst_target"} | {
        f"{key}{bound}"
        for key in ("target_mean", "transfer_gap", "worst_target_score")
        for bound in ("", "_low", "_high")
    }


def test_bad_sets_are_refused() -> None:
    source = accuracy_of(0.9, num_resamples=10)
    with pytest.raises(DataError, match="at least one target"):
        transfer_summary(source=source, targets={})
    with pytest.raises(DataError, match=r"the source has \(10,\), hotel has \(5,\)"):
        transfer_summary(source=source, targets={"hotel": accuracy_of(0.7, num_resamples=5)})
    broken = BootstrapScore(math.nan, np.zeros(10))
    with pytest.raises(DataError, match="score of hotel must be finite; got nan"):
        transfer_summary(source=source, targets={"hotel": broken})


@pytest.mark.parametrize(
    ("method", "expected"), [(0.6, 0.0), (0.8, 1.0), (0.75, 0.75), (0.5, -0.5), (0.9, 1.5)]
)
def test_gap_recovered(method: float, expected: float) -> None:
    assert gap_recovered(method=method, zero_shot=0.6, supervised=0.8) == pytest.approx(expected)


def test_gap_recovered_without_a_gap() -> None:
    assert math.isnan(gap_recovered(method=0.7, zero_shot=0.8, supervised=0.8))
    assert math.isnan(gap_recovered(method=0.7, zero_shot=0.8, supervised=0.75))
    with pytest.raises(DataError, match="supervised must be a finite score; got nan"):
        gap_recovered(method=0.7, zero_shot=0.6, supervised=math.nan)
