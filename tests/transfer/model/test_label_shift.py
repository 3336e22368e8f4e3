"""Known shifts are recovered, and nothing is changed where there is none."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.special import softmax

from tests.transfer.learners import noisy_probs, reviews
from xlingual.errors import ConfigError, DataError
from xlingual.transfer import correct_label_shift

MEANS = np.array([[0.0, 0.0], [1.6, 0.0], [0.0, 1.6]])


def sample(prior, rows: int, seed: int, *, temperature: float = 1.0):
    """Gaussian classes; probabilities of the exact posterior under equal shares."""
    generator = np.random.default_rng(seed)
    labels = generator.choice(len(prior), size=rows, p=prior)
    points = MEANS[labels] + generator.normal(size=(rows, 2))
    logits = -((points[:, None] - MEANS) ** 2).sum(axis=2) / 2
    return softmax(logits[:, : len(prior)] * temperature, axis=1), labels


@pytest.fixture(scope="module")
def source():
    return sample([1 / 3] * 3, 1500, 0, temperature=2.0)  # overconfident: BCTS has work to do


@pytest.mark.parametrize("method", ["em", "bbse"])
def test_a_known_shift_is_recovered_and_helps(source, method) -> None:
    probs, labels = sample([0.6, 0.3, 0.1], 2000, 1, temperature=2.0)
    shift = correct_label_shift(
        source_probs=source[0], source_references=source[1], target_probs=probs, method=method
    )
    assert shift.is_applied
    np.testing.assert_allclose(shift.target_prior, [0.6, 0.3, 0.1], atol=0.06)
    before = (probs.argmax(1) == labels).mean()
    assert (shift(probs).argmax(1) == labels).mean() > before + 0.02
    np.testing.assert_allclose(shift(probs).sum(axis=1), 1)


def test_em_agrees_with_an_independent_one() -> None:
    probs, labels = sample([0.5, 0.5], 3000, 3)
    target, _ = sample([0.8, 0.2], 3000, 4)
    shift = correct_label_shift(
        source_probs=probs, source_references=labels, target_probs=target, num_resamples=5
    )
    prior = np.bincount(labels) / len(labels)
    shares = prior.copy()
    for _ in range(500):  # these probabilities are calibrated: no BCTS here
        posterior = target * shares / prior
        shares = (posterior / posterior.sum(axis=1, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(shift.target_prior, shares, atol=0.03)


def test_bbse_solves_the_confusion_matrix() -> None:
    references = np.array([0] * 100 + [1] * 100)
    predicted = np.array([0] * 80 + [1] * 20 + [0] * 10 + [1] * 90)
    source = np.where(np.eye(2)[predicted] == 1, 0.9, 0.1)
    target = np.where(np.eye(2)[np.array([0] * 660 + [1] * 340)] == 1, 0.9, 0.1)
    shift = correct_label_shift(
        source_probs=source, source_references=references, target_probs=target, method="bbse"
    )
    # 0.8 q + 0.1 (1 - q) = 0.66
    np.testing.assert_allclose(shift.target_prior, [0.8, 0.2], atol=1e-9)
    np.testing.assert_allclose(shift.log_ratio, np.log([1.6, 0.5]))  # 0.4 is clipped to 0.5


def test_the_shift_of_the_logits_is_the_bayes_rule() -> None:
    """Calibrated probabilities, T = 1 and b = 0: the correction is the ratio of the priors."""
    probs, labels = sample([0.5, 0.5], 20000, 5)
    target, _ = sample([0.7, 0.3], 5000, 6)
    shift = correct_label_shift(
        source_probs=probs, source_references=labels, target_probs=target, num_resamples=5
    )
    expected = target * np.exp(shift.log_ratio)
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shift(target), expected, atol=0.03)
    assert shift.logit_shift.sum() == pytest.approx(0)


def test_few_rows_change_nothing_and_say_so(source, caplog) -> None:
    probs, _ = sample([0.8, 0.1, 0.1], 199, 7)
    with caplog.at_level(logging.INFO, logger="xlingual"):
        shift = correct_label_shift(
            source_probs=source[0], source_references=source[1], target_probs=probs
        )
    assert not shift.is_applied
    np.testing.assert_array_equal(shift(probs), probs)
    assert "199 target rows are fewer than 200" in caplog.text


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("method", ["em", "bbse"])
def test_no_shift_changes_nothing(source, method, seed) -> None:
    probs, _ = sample([1 / 3] * 3, 400, 10 + seed, temperature=2.0)
    shift = correct_label_shift(
        source_probs=source[0], source_references=source[1], target_probs=probs, method=method
    )
    assert not shift.is_applied
    assert not shift.logit_shift.any()
    assert "apart in L1" in shift.reason


def test_a_model_that_is_worse_in_the_target_is_left_alone(source) -> None:
    """Not a label shift: one class is seen worse, and it looks as if it were rarer."""
    _, labels = sample([1 / 3] * 3, 1500, 21)
    points = MEANS[labels] + np.random.default_rng(22).normal(size=(1500, 2)) - [0.9, 0.0]
    logits = -((points[:, None] - MEANS) ** 2).sum(axis=2)
    shift = correct_label_shift(
        source_probs=source[0], source_references=source[1], target_probs=softmax(logits, axis=1)
    )
    assert shift.distance - shift.margin > 0.05
    assert not shift.is_applied
    assert "do not look like the source's" in shift.reason


def test_a_class_without_validation_rows_changes_nothing(source) -> None:
    rows = source[1] != 2
    shift = correct_label_shift(
        source_probs=source[0][rows], source_references=source[1][rows], target_probs=source[0]
    )
    assert not shift.is_applied
    assert "no source validation row" in shift.reason


@settings(max_examples=15, deadline=None)
@given(share=st.floats(0.02, 0.98), seed=st.integers(0, 100))
def test_priors_sum_to_one_and_ratios_stay_in_bounds(share, seed) -> None:
    probs, labels = sample([0.5, 0.5], 200, seed)
    target, _ = sample([share, 1 - share], 250, seed + 1)
    for method in ("em", "bbse"):
        shift = correct_label_shift(
            source_probs=probs, source_references=labels, target_probs=target, method=method,
            num_resamples=3, min_distance=0.0,
        )  # fmt: skip
        assert shift.target_prior.sum() == pytest.approx(1)
        assert (np.abs(shift.log_ratio) <= np.log(2) + 1e-9).all()


def test_bad_input_is_refused(source) -> None:
    good = {"source_probs": source[0], "source_references": source[1], "target_probs": source[0]}
    with pytest.raises(ConfigError, match="em or bbse"):
        correct_label_shift(**good, method="rlls")
    with pytest.raises(DataError, match="not on logits"):
        correct_label_shift(**{**good, "target_probs": source[0] * 5})
    with pytest.raises(DataError, match="the same number of labels"):
        correct_label_shift(
            **{**good, "target_probs": source[0][:, :2] / source[0][:, :2].sum(1)[:, None]}
        )
    with pytest.raises(DataError, match="one label id"):
        correct_label_shift(**{**good, "source_references": source[1][:-1]})


def test_a_correction_against_the_words_is_refused(caplog) -> None:
    """Three good reviews in ten are read as bad ones: to the probabilities that is a shift."""
    _, labels = reviews(1500, seed=2)
    source_probs = noisy_probs(labels, accuracy=0.8)
    source = {"source_probs": source_probs, "source_references": labels}
    balanced, truth = reviews(1200)
    misread = truth * (np.random.default_rng(3).random(1200) > 0.3)
    shifted, shifted_truth = reviews(1200, share=0.35, seed=4)
    misread_probs = noisy_probs(misread, accuracy=0.8, seed=5)
    shifted_probs = noisy_probs(shifted_truth, accuracy=0.8, seed=5)
    unasked = correct_label_shift(**source, target_probs=misread_probs)
    assert unasked.is_applied
    with caplog.at_level(logging.INFO, logger="xlingual"):
        asked = correct_label_shift(**source, target_probs=misread_probs, target_rows=balanced)
    assert not asked.is_applied
    assert not asked.logit_shift.any()
    assert "fewer rows would agree with the n-grams of the target" in caplog.text
    real = correct_label_shift(**source, target_probs=shifted_probs, target_rows=shifted)
    assert real.is_applied
    before = (shifted_probs.argmax(axis=1) == shifted_truth).mean()
    assert (real(shifted_probs).argmax(axis=1) == shifted_truth).mean() > before
    pairs = balanced.add_column("text_pair", balanced["text"])
    blind = correct_label_shift(**source, target_probs=misread_probs, target_rows=pairs)
    assert blind.is_applied, "words cannot judge pairs"
