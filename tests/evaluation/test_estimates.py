"""The estimates against independent NumPy, and against a known truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from xlingual.errors import ConfigError, DataError
from xlingual.evaluation import (
    accuracy_under_prior,
    average_thresholded_confidence,
    difference_of_confidences,
    estimate_accuracy,
)


def calibrated(rows: int, seed: int, *, sureness: float = 2.0):
    """Binary probabilities with labels drawn from them: calibrated by construction."""
    generator = np.random.default_rng(seed)
    positive = 1 / (1 + np.exp(-sureness * generator.normal(size=rows)))
    probs = np.stack([1 - positive, positive], axis=1)
    return probs, (generator.random(rows) < positive).astype(int)


def test_atc_is_its_formula() -> None:
    source, labels = calibrated(500, 0)
    target, _ = calibrated(400, 1, sureness=1.0)
    score_s = (source * np.log(source)).sum(axis=1)
    score_t = (target * np.log(target)).sum(axis=1)
    threshold = np.quantile(score_s, (source.argmax(1) != labels).mean(), method="higher")
    expected = (score_t >= threshold).mean()
    found = average_thresholded_confidence(source, labels, target)
    assert found == pytest.approx(expected, abs=1 / 400)


def test_doc_is_its_formula() -> None:
    source, labels = calibrated(500, 0)
    target, _ = calibrated(400, 1, sureness=1.0)
    expected = (source.argmax(1) == labels).mean() - source.max(1).mean() + target.max(1).mean()
    assert difference_of_confidences(source, labels, target) == pytest.approx(expected)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), rows=st.integers(2, 60))
def test_the_source_estimates_itself(seed, rows) -> None:
    source, labels = calibrated(rows, seed)
    truth = (source.argmax(1) == labels).mean()
    assert average_thresholded_confidence(source, labels, source) == pytest.approx(truth)
    assert difference_of_confidences(source, labels, source) == pytest.approx(truth)


def test_a_harder_target_is_estimated_before_its_labels() -> None:
    source, labels = calibrated(3000, 0, sureness=3.0)
    target, hidden = calibrated(3000, 1, sureness=1.0)
    truth = (target.argmax(1) == hidden).mean()
    found = estimate_accuracy(source, labels, target, num_resamples=200)
    assert found.source_accuracy.value > truth + 0.1
    assert found.accuracy.low <= truth <= found.accuracy.high
    bare = estimate_accuracy(source, labels, target, num_resamples=200, method_error=0).accuracy
    assert bare == pytest.approx(found.doc)
    reach = np.hypot(found.doc.value - found.doc.low, 1.96 * 0.1)
    assert found.accuracy.low == pytest.approx(found.doc.value - reach, abs=1e-4)
    assert found.doc.value == pytest.approx(truth, abs=0.03)


def test_an_agreement_takes_the_place_of_confidences() -> None:
    source, labels = calibrated(400, 0, sureness=3.0)
    target, _ = calibrated(300, 1, sureness=1.0)
    agrees = np.arange(300) % 4 > 0
    found = estimate_accuracy(source, labels, target, agreement=agrees, num_resamples=400)
    assert found.accuracy.value == found.agreement.value == 0.75
    error = np.sqrt(0.75 * 0.25 / 300)
    assert found.agreement.low == pytest.approx(0.75 - 1.96 * error, abs=0.01)
    reach = np.hypot(0.75 - found.agreement.low, 1.96 * 0.08)
    assert found.accuracy.low == pytest.approx(0.75 - reach, abs=1e-4)
    without = estimate_accuracy(source, labels, target, num_resamples=400)
    assert without.agreement is None
    assert without.accuracy.value == without.doc.value == found.doc.value
    assert (without.atc, without.doc) == (found.atc, found.doc)


def test_the_seed_decides_the_interval() -> None:
    source, labels = calibrated(200, 0)
    arguments = (source, labels, source[:100])
    first, again, other = (
        estimate_accuracy(*arguments, num_resamples=50, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again
    assert first.accuracy.low != other.accuracy.low


def test_a_model_without_a_right_answer_is_estimated_at_zero() -> None:
    source, _ = calibrated(50, 0)
    assert average_thresholded_confidence(source, 1 - source.argmax(1), source) == 0.0


def test_accuracy_under_another_prior() -> None:
    references, predictions = [0, 0, 1, 1, 1, 1], [0, 1, 1, 1, 1, 0]
    assert accuracy_under_prior(references, predictions, prior=[0.5, 0.5]) == pytest.approx(0.625)
    assert accuracy_under_prior(references, predictions, prior=[0, 0.6, 0.4]) == 0.75


def test_bad_input_is_refused() -> None:
    source, labels = calibrated(20, 0)
    with pytest.raises(DataError, match="rather than logits"):
        estimate_accuracy(source * 3, labels, source)
    with pytest.raises(DataError, match="no source row has a label"):
        estimate_accuracy(source, np.full(20, -100), source)
    with pytest.raises(DataError, match=r"one agreement for each of 20 target rows; got .*\(19,\)"):
        estimate_accuracy(source, labels, source, agreement=np.ones(19))
    with pytest.raises(DataError, match="at least one row"):
        average_thresholded_confidence(source, labels, source[:0])
    with pytest.raises(DataError, match="one label id"):
        difference_of_confidences(source, labels[:-1], source)
    with pytest.raises(ConfigError, match="num_resamples"):
        estimate_accuracy(source, labels, source, num_resamples=0)
    with pytest.raises(DataError, match="has a source row"):
        accuracy_under_prior([0], [0], prior=[0, 1])
