"""Comparison of methods: paired resamples, Holm, the gap, and the recommendation."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from xlingual.errors import ConfigError, DataError
from xlingual.evaluation import (
    BootstrapScore,
    SeedScores,
    cheapest_of_the_best,
    compare_methods,
    holm_correction,
    mean_of_sets,
    resample_methods,
)

NAMES = ["差评", "好评"]


def answers(references: np.ndarray, share_right: float, seed: int) -> np.ndarray:
    flip = np.random.default_rng(seed).random(len(references)) > share_right
    return np.where(flip, 1 - references, references)


@pytest.fixture
def truth() -> np.ndarray:
    return np.random.default_rng(9).integers(2, size=300)


def test_against_a_row_bootstrap_written_out(truth: np.ndarray) -> None:
    runs = {
        "zero_shot": [answers(truth, 0.7, 1), answers(truth, 0.72, 2)],
        "better": [answers(truth, 0.8, 3), answers(truth, 0.78, 4)],
    }
    found = resample_methods(truth, runs, label_names=NAMES, num_resamples=4000)
    right = {name: np.mean([run == truth for run in both], axis=0) for name, both in runs.items()}
    generator = np.random.default_rng(123)  # other redraws than ours: the distribution must agree
    rows = generator.integers(len(truth), size=(4000, len(truth)))
    differences = (right["better"] - right["zero_shot"])[rows].mean(axis=1)
    for name in runs:
        assert found[name].mean.value == pytest.approx(right[name].mean())
        assert found[name].seeds == pytest.approx([(run == truth).mean() for run in runs[name]])
    compared = compare_methods(found, baseline="zero_shot")["better"]
    assert compared.difference is not None
    assert compared.difference.value == pytest.approx(differences.mean(), abs=0.005)
    low, high = np.quantile(differences, [0.025, 0.975])
    assert compared.difference.low == pytest.approx(low, abs=0.006)
    assert compared.difference.high == pytest.approx(high, abs=0.006)
    p = 2 * ((differences <= 0).sum() + 1) / 4001
    assert compared.p_value == pytest.approx(p, abs=0.005)


def test_macro_f1_is_that_of_scikit_learn_in_every_redraw(truth: np.ndarray) -> None:
    from sklearn.metrics import f1_score

    truth = np.minimum(truth + (np.arange(len(truth)) % 3 == 0), 2)  # three classes
    runs = [np.roll(truth, 1), np.roll(truth, 2)]
    found = resample_methods(
        truth, {"m": runs}, label_names=["a", "b", "c"], metric="macro_f1", num_resamples=3, seed=5
    )["m"]
    counts = np.random.default_rng(5).multinomial(300, np.full(300, 1 / 300), size=3)
    expected = [
        np.mean([f1_score(truth, run, sample_weight=c, average="macro") for run in runs])
        for c in counts
    ]
    assert found.mean.resampled == pytest.approx(expected)


def test_label_sets_and_rows_without_a_label() -> None:
    truth = np.array([[1, 0], [1, 1], [-100, -100], [0, 1]])
    runs = [np.array([[1, 0], [1, 0], [1, 1], [0, 1]])]
    found = resample_methods(truth, {"m": runs}, label_names=NAMES, num_resamples=10)["m"]
    assert found.mean.value == pytest.approx(2 / 3)


def test_pairing_sees_what_two_intervals_do_not(truth: np.ndarray) -> None:
    """One method is the other with ten more rows right: surely better, though intervals overlap."""
    base = answers(truth, 0.7, 1)
    mended = base.copy()
    mended[np.flatnonzero(base != truth)[:10]] = truth[np.flatnonzero(base != truth)[:10]]
    runs = {"zero_shot": [base], "mended": [mended], "same": [base.copy()]}
    compared = compare_methods(
        resample_methods(truth, runs, label_names=NAMES), baseline="zero_shot"
    )
    assert compared["mended"].score.low < compared["zero_shot"].score.high
    assert compared["mended"].p_value < 0.01
    assert compared["same"].p_value == 1
    assert compared["zero_shot"].p_value is None


def test_the_order_of_the_methods_changes_nothing(truth: np.ndarray) -> None:
    runs = {"a": [answers(truth, 0.7, 1)], "b": [answers(truth, 0.8, 2)]}
    one = resample_methods(truth, runs, label_names=NAMES, num_resamples=50)
    other = resample_methods(truth, dict(reversed(runs.items())), label_names=NAMES,
                             num_resamples=50)  # fmt: skip
    assert (one["b"].mean.resampled == other["b"].mean.resampled).all()


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [
        ({"a": 0.01, "b": 0.04, "c": 0.03}, {"a": 0.03, "b": 0.06, "c": 0.06}),
        ({"a": 0.5, "b": 0.9}, {"a": 1.0, "b": 1.0}),
        ({"a": 0.02}, {"a": 0.02}),
        ({}, {}),
    ],
)
def test_holm_by_hand(p_values: dict[str, float], expected: dict[str, float]) -> None:
    assert holm_correction(p_values) == pytest.approx(expected)


def constant(value: float, *, spread: float = 0.0, seed: int = 0) -> SeedScores:
    redrawn = value + spread * np.random.default_rng(seed).standard_normal(1000)
    return SeedScores(np.array([value - 0.01, value + 0.01]), BootstrapScore(value, redrawn))


def test_gap_mean_and_ceiling() -> None:
    hotel = {"zero_shot": constant(0.6), "m": constant(0.7), "supervised": constant(0.8)}
    books = {"zero_shot": constant(0.5), "m": constant(0.5), "supervised": constant(0.9)}
    compared = compare_methods(
        mean_of_sets([hotel, books]), baseline="zero_shot", ceiling="supervised"
    )
    assert compared["m"].score.value == pytest.approx(0.6)
    assert compared["m"].gap_recovered == pytest.approx((0.6 - 0.55) / (0.85 - 0.55))
    assert compared["m"].seed_deviation == pytest.approx(0.01 * math.sqrt(2))
    assert compared["supervised"].p_value is None
    with pytest.raises(DataError, match="same methods"):
        mean_of_sets([hotel, {"m": constant(0.5)}])


def test_without_baseline_or_ceiling_there_are_only_scores() -> None:
    compared = compare_methods({"m": constant(0.7)}, baseline="zero_shot", ceiling="supervised")
    values = compared["m"].to_dict()
    assert values["score"] == pytest.approx(0.7)
    assert [values[k] for k in ("difference", "p_value", "gap_recovered")] == [None] * 3
    # A ceiling below the baseline is no ceiling; NaN would not be JSON.
    scores = {"zero_shot": constant(0.8), "m": constant(0.7), "supervised": constant(0.6)}
    compared = compare_methods(scores, baseline="zero_shot", ceiling="supervised")
    assert json.dumps(compared["m"].to_dict(), allow_nan=False)
    assert compared["m"].to_dict()["gap_recovered"] is None


def test_the_cheapest_of_those_that_may_be_best() -> None:
    scores = {
        "best": constant(0.80),
        "near": constant(0.79, spread=0.02),
        "cheap": constant(0.60, spread=0.02),
    }
    costs = {"best": 100.0, "near": 50.0, "cheap": 1.0}
    assert cheapest_of_the_best(scores, costs) == "near"
    assert cheapest_of_the_best(scores, {**costs, "near": 200.0}) == "best"
    with pytest.raises(DataError, match="at least one"):
        cheapest_of_the_best({}, {})


def test_what_cannot_be_compared(truth: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"m: expected at least one array of shape \(300,\)"):
        resample_methods(truth, {"m": [truth[:-1]]}, label_names=NAMES)
    with pytest.raises(DataError, match="m: expected at least one"):
        resample_methods(truth, {"m": []}, label_names=NAMES)
    with pytest.raises(ConfigError, match="unknown score 'f2'"):
        resample_methods(truth, {"m": [truth]}, label_names=NAMES, metric="f2")
    with pytest.raises(ConfigError, match="num_resamples"):
        resample_methods(truth, {"m": [truth]}, label_names=NAMES, num_resamples=0)
