"""Bootstrap intervals: the distribution, determinism, degenerate sets, flat keys."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from xlingual.errors import ConfigError, DataError
from xlingual.evaluation import (
    Interval,
    bootstrap_classification,
    bootstrap_multi_label,
    classification_scores,
    flatten_intervals,
    intervals,
    multi_label_scores,
    resample_classification,
    resample_multi_label,
)

NAMES = ["差评", "中评", "好评"]
id_pairs = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40)


def make_rows(num_rows: int = 60, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Labels with a rare class, predicted right three times in four."""
    generator = np.random.default_rng(seed)
    references = generator.choice(3, size=num_rows, p=[0.55, 0.4, 0.05])
    guesses = generator.integers(0, 3, size=num_rows)
    return references, np.where(generator.random(num_rows) < 0.75, references, guesses)


def assert_same_distribution(ours: np.ndarray, naive: np.ndarray) -> None:
    """Compare by Kolmogorov-Smirnov (conservative on lattices such as accuracy) and by spread."""
    assert stats.ks_2samp(ours, naive).pvalue > 1e-3
    assert ours.mean() == pytest.approx(naive.mean(), abs=5 * naive.std() / len(naive) ** 0.5)
    assert ours.std() == pytest.approx(naive.std(), rel=0.12, abs=1e-12)


def test_values_are_the_plain_scores() -> None:
    references, predictions = make_rows()
    rows: dict[str, Any] = {
        "references": references,
        "predictions": predictions,
        "label_names": NAMES,
    }
    found = bootstrap_classification(**rows, num_resamples=50)
    assert {key: interval.value for key, interval in found.items()} == classification_scores(**rows)


def test_accuracy_bounds_are_binomial_quantiles() -> None:
    # The number of right rows in a resample of 200 rows, 150 of them right, is Binomial(200, 0.75).
    references = np.zeros(200, dtype=int)
    predictions = np.repeat([0, 1], [150, 50])
    interval = bootstrap_classification(
        references=references, predictions=predictions, label_names=NAMES, num_resamples=20_000
    )["accuracy"]
    low, high = stats.binom.ppf([0.025, 0.975], 200, 0.75) / 200
    assert interval.value == 0.75
    assert interval.low == pytest.approx(low, abs=1 / 200)
    assert interval.high == pytest.approx(high, abs=1 / 200)


def test_multinomial_bootstrap_agrees_with_drawing_rows() -> None:
    references, predictions = make_rows()
    ours = resample_classification(
        references=references, predictions=predictions, label_names=NAMES, num_resamples=3000
    )
    generator = np.random.default_rng(5)
    naive = []
    for _ in range(3000):
        rows = generator.integers(0, len(references), size=len(references))
        naive.append(
            classification_scores(
                references=references[rows], predictions=predictions[rows], label_names=NAMES
            )
        )
    for key, score in ours.items():
        assert_same_distribution(score.resampled, np.array([row[key] for row in naive]))


def test_multi_label_bootstrap_agrees_with_drawing_rows() -> None:
    generator = np.random.default_rng(2)
    references = (generator.random((40, 3)) < [0.5, 0.3, 0.1]).astype(int)
    predictions = np.where(generator.random((40, 3)) < 0.2, 1 - references, references)
    names = ["价格", "服务", "位置"]
    ours = resample_multi_label(
        references=references, predictions=predictions, label_names=names, num_resamples=2000
    )
    naive = []
    for _ in range(2000):
        rows = generator.integers(0, 40, size=40)
        naive.append(
            multi_label_scores(
                references=references[rows], predictions=predictions[rows], label_names=names
            )
        )
    assert set(ours) == set(naive[0])
    for key, score in ours.items():
        assert_same_distribution(score.resampled, np.array([row[key] for row in naive]))


def test_intervals_cover_the_true_accuracy() -> None:
    generator = np.random.default_rng(3)
    num_sets, num_covered = 300, 0
    for seed in range(num_sets):
        is_right = generator.random(150) < 0.8
        interval = bootstrap_classification(
            references=np.ones(150, dtype=int),
            predictions=is_right.astype(int),
            label_names=NAMES,
            num_resamples=400,
            seed=seed,
        )["accuracy"]
        num_covered += interval.low <= 0.8 <= interval.high
    assert 0.90 <= num_covered / num_sets <= 0.98  # 95% asked for; the method runs a little short


@settings(max_examples=40, deadline=None)
@given(id_pairs, st.integers(0, 2**32))
def test_accuracy_lies_inside_and_all_bounds_are_ordered(
    pairs: list[tuple[int, int]], seed: int
) -> None:
    references, predictions = zip(*pairs, strict=True)
    found = bootstrap_classification(
        references=references,
        predictions=predictions,
        label_names=NAMES,
        num_resamples=300,
        seed=seed,
    )
    accuracy = found["accuracy"]
    assert accuracy.low <= accuracy.value + 1e-12
    assert accuracy.value <= accuracy.high + 1e-12
    for interval in found.values():
        assert 0.0 <= interval.low <= interval.high <= 1.0


@settings(max_examples=25, deadline=None)
@given(id_pairs, st.randoms(use_true_random=False))
def test_order_of_rows_and_unlabelled_rows_change_nothing(
    pairs: list[tuple[int, int]], random: object
) -> None:
    def bootstrap(rows: list[tuple[int, int]]) -> dict[str, Interval]:
        references, predictions = zip(*rows, strict=True)
        return bootstrap_classification(
            references=references, predictions=predictions, label_names=NAMES, num_resamples=40
        )

    shuffled = [*pairs, (-100, 0)]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert bootstrap(shuffled) == bootstrap(pairs)


def test_seed_decides() -> None:
    references, predictions = make_rows()

    def bounds(seed: int) -> dict[str, Interval]:
        return bootstrap_classification(
            references=references,
            predictions=predictions,
            label_names=NAMES,
            num_resamples=100,
            seed=seed,
        )

    assert bounds(7) == bounds(7)
    assert bounds(7) != bounds(8)


def test_blocks_do_not_change_the_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    references, predictions = make_rows()
    rows: dict[str, Any] = {
        "references": references,
        "predictions": predictions,
        "label_names": NAMES,
    }
    whole = bootstrap_classification(**rows, num_resamples=101)
    monkeypatch.setattr(intervals, "_MAX_BLOCK_SIZE", 30)
    assert bootstrap_classification(**rows, num_resamples=101) == whole


def test_higher_confidence_is_wider() -> None:
    references, predictions = make_rows()
    score = resample_classification(
        references=references, predictions=predictions, label_names=NAMES
    )["accuracy"]
    narrow, wide = score.interval(confidence=0.5), score.interval(confidence=0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize(
    ("references", "predictions", "value"),
    [([0], [0], 1.0), ([0], [1], 0.0), ([2] * 9, [2] * 9, 1.0)],
)
def test_one_distinct_pair_has_no_width(
    references: list[int], predictions: list[int], value: float
) -> None:
    found = bootstrap_classification(
        references=references, predictions=predictions, label_names=NAMES, num_resamples=20
    )
    assert found["accuracy"] == Interval(value, value, value)
    assert all(low == high == score for score, low, high in found.values())


def test_flat_keys() -> None:
    flat = flatten_intervals({"accuracy": Interval(0.8, 0.7, 0.9)}, prefix="eval_zh_")
    assert flat == {
        "eval_zh_accuracy": 0.8,
        "eval_zh_accuracy_low": 0.7,
        "eval_zh_accuracy_high": 0.9,
    }


def test_flat_keys_never_overwrite_a_value(caplog: pytest.LogCaptureFixture) -> None:
    named = {"f1_price_low": Interval(0.5, 0.4, 0.6), "f1_price": Interval(0.8, 0.7, 0.9)}
    with caplog.at_level(logging.WARNING):
        flat = flatten_intervals(named)
    assert flat["f1_price_low"] == 0.5
    assert flat["f1_price_high"] == 0.9
    assert "f1_price_low is the value of another label" in caplog.text


def test_bad_arguments_are_refused() -> None:
    rows: dict[str, Any] = {"references": [0, 1], "predictions": [0, 1], "label_names": NAMES}
    with pytest.raises(ConfigError, match="num_resamples must be 1 or more; got 0"):
        bootstrap_classification(**rows, num_resamples=0)
    with pytest.raises(ConfigError, match="confidence must lie between 0 and 1; got 95"):
        bootstrap_classification(**rows, num_resamples=2, confidence=95)
    with pytest.raises(DataError, match="one shape"):
        bootstrap_multi_label(references=[[1, 0, 0]], predictions=[[1, 0]], label_names=NAMES)
