"""Calibration: the formulas against NumPy, and decisions that never change."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

from xlingual.errors import DataError
from xlingual.evaluation import (
    apply_calibration,
    expected_calibration_error,
    fit_calibration_temperature,
)

LOGITS = arrays(
    np.float64,
    st.tuples(st.integers(1, 8), st.integers(2, 5)),
    elements=st.floats(-12, 12, allow_nan=False),
)


def softmax(logits: np.ndarray) -> np.ndarray:
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exp / exp.sum(axis=1, keepdims=True)


def drawn(num_rows: int, *, seed: int = 0, num_labels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from their softmax: these are calibrated as they are."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=1.5, size=(num_rows, num_labels))
    chosen = (softmax(logits).cumsum(axis=1) < rng.random((num_rows, 1))).sum(axis=1)
    return logits, chosen.clip(max=num_labels - 1)


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_a_factor_on_the_logits(factor: float) -> None:
    logits, labels = drawn(20_000)
    probs = softmax(factor * logits)
    temperature = fit_calibration_temperature(probs, labels)
    assert temperature == pytest.approx(factor, rel=0.05)
    before = expected_calibration_error(probs, labels)
    after = expected_calibration_error(apply_calibration(probs, temperature), labels)
    assert after < 0.02
    assert factor == 1.0 or after < before / 3


def test_it_is_the_best_of_a_grid() -> None:
    logits, labels = drawn(300, seed=1)
    probs = softmax(2.3 * logits)
    grid = np.linspace(0.3, 8, 4000)
    rows = np.arange(300)
    losses = [-np.log(softmax(2.3 * logits / t)[rows, labels]).mean() for t in grid]
    found = fit_calibration_temperature(probs, labels)
    assert found == pytest.approx(grid[int(np.argmin(losses))], abs=0.003)


def test_several_labels_a_row() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=2, size=(4000, 3))
    labels = (rng.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(int)
    probs = 1 / (1 + np.exp(-2.5 * logits))
    found = fit_calibration_temperature(probs, labels, multi_label=True)
    assert found == pytest.approx(2.5, rel=0.06)
    calibrated = apply_calibration(probs, 2.5, multi_label=True)
    np.testing.assert_allclose(calibrated, 1 / (1 + np.exp(-logits)), atol=2e-3)
    before = expected_calibration_error(probs, labels, multi_label=True)
    assert expected_calibration_error(calibrated, labels, multi_label=True) < before / 3


def test_rows_without_a_label_have_no_part() -> None:
    logits, labels = drawn(400)
    probs = softmax(2 * logits)
    hidden = labels.copy()
    hidden[::2] = -100
    assert fit_calibration_temperature(probs, hidden) == fit_calibration_temperature(
        probs[1::2], labels[1::2]
    )
    assert expected_calibration_error(probs, hidden) == expected_calibration_error(
        probs[1::2], labels[1::2]
    )


def test_few_rows_change_nothing(caplog) -> None:
    logits, labels = drawn(19)
    assert fit_calibration_temperature(softmax(logits), labels) == 1.0
    assert "at least 20 labelled rows; there are 19" in caplog.text


def test_rows_that_are_all_right_stay_in_range() -> None:
    probs = np.tile([[0.9, 0.1], [0.2, 0.8]], (30, 1))
    assert fit_calibration_temperature(probs, probs.argmax(axis=1)) == pytest.approx(0.2, rel=0.01)
    assert fit_calibration_temperature(probs, probs.argmin(axis=1)) == pytest.approx(10, rel=0.01)


def test_probabilities_that_were_rounded_to_certainty() -> None:
    probs = np.tile(np.array([[1.0, 0.0], [0.0, 1.0]], dtype="float32"), (20, 1))
    labels = np.array([0, 1] * 18 + [1, 0] * 2)
    assert np.isfinite(fit_calibration_temperature(probs, labels))
    assert np.isfinite(apply_calibration(probs, 3.0)).all()


def test_ece_by_hand() -> None:
    """Two bins are filled: 0.95 twice, half of it right; 0.6 once, right."""
    probs = [[0.95, 0.05], [0.95, 0.05], [0.4, 0.6]]
    expected = (2 / 3) * abs(0.5 - 0.95) + (1 / 3) * abs(1 - 0.6)
    assert expected_calibration_error(probs, [0, 1, 1]) == pytest.approx(expected)
    assert np.isnan(expected_calibration_error(probs, [-100] * 3))


def test_ece_against_a_loop() -> None:
    logits, labels = drawn(500, seed=2)
    probs = softmax(3 * logits)
    confidence, right = probs.max(axis=1), probs.argmax(axis=1) == labels
    total = 0.0
    for number in range(15):
        inside = (confidence > number / 15) & (confidence <= (number + 1) / 15)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert expected_calibration_error(probs, labels) == pytest.approx(total)


@given(LOGITS, st.floats(0.2, 10))
@settings(max_examples=60, deadline=None)
def test_no_decision_changes_and_rows_sum_to_one(logits: np.ndarray, temperature: float) -> None:
    probs = softmax(logits)
    calibrated = apply_calibration(probs, temperature)
    np.testing.assert_allclose(calibrated.sum(axis=1), 1)
    chosen = calibrated[np.arange(len(probs)), probs.argmax(axis=1)]
    np.testing.assert_array_equal(chosen, calibrated.max(axis=1))
    np.testing.assert_allclose(calibrated, softmax(logits / temperature), atol=1e-6)


def test_what_is_refused() -> None:
    with pytest.raises(DataError, match="not logits"):
        apply_calibration([[2.0, -1.0]], 1.0)
    with pytest.raises(DataError, match="must be above 0"):
        apply_calibration([[0.5, 0.5]], 0.0)
    with pytest.raises(DataError, match="references of shape"):
        expected_calibration_error([[0.5, 0.5]], [0, 1])
    with pytest.raises(DataError, match="label ids below 2"):
        expected_calibration_error([[0.5, 0.5]], [2])
