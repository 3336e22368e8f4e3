from __future__ import annotations

import numpy as np
import pytest
from datasets import Dataset
from hypothesis import given, strategies as st

from xlingual import LabelSpace
from xlingual.errors import DataError
from xlingual.transfer.data.pseudo_labels import (
    choose_by_margin,
    choose_confident,
    predicted_prior,
    with_soft_labels,
)

SPACE = LabelSpace(("差评", "好评"))


def test_soft_labels_are_named_and_gold_labels_are_gone():
    rows = Dataset.from_dict({"text": ["房间很脏", "早餐不错"], "label": ["好评", "差评"]})
    taught = with_soft_labels(rows, np.array([[0.9, 0.1], [0.2, 0.8]]), label_space=SPACE)
    assert taught.column_names == ["text", "soft_labels"]
    assert taught[1]["soft_labels"] == {"差评": 0.2, "好评": 0.8}


@pytest.mark.parametrize("probs", [np.zeros((1, 2)), np.array([[0.5, np.nan], [0.5, 0.5]])])
def test_what_no_teacher_says_is_refused(probs):
    rows = Dataset.from_dict({"text": ["房间很脏", "早餐不错"]})
    with pytest.raises(DataError, match="one finite row"):
        with_soft_labels(rows, probs, label_space=SPACE)


def test_prior_against_its_formula():
    probs = np.array([[0.9, 0.1], [0.7, 0.3], [0.8, 0.2]])
    np.testing.assert_allclose(predicted_prior(probs, smoothing=0.1), [0.9 * 0.8 + 0.05, 0.23])


def test_the_surest_rows_of_each_class():
    positive = np.array([0.99, 0.98, 0.97, 0.96, 0.95, 0.90, 0.30, 0.10, 0.15, 0.05])
    probs = np.stack([1 - positive, positive], axis=1)
    chosen = choose_confident(probs, share=0.4, threshold=0.8, prior=np.array([0.5, 0.5]))
    assert chosen.tolist() == [0, 1, 7, 9]


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=60),
    st.floats(0.05, 1),
    st.floats(0.5, 0.99),
    st.floats(0.05, 0.95),
)
def test_quotas_and_threshold_hold(positive, share, threshold, part):
    probs = np.stack([1 - np.array(positive), np.array(positive)], axis=1)
    prior = np.array([1 - part, part])
    chosen = choose_confident(probs, share=share, threshold=threshold, prior=prior)
    assert (np.diff(chosen) > 0).all()
    assert (probs[chosen].max(axis=1) >= threshold).all()
    counts = np.bincount(probs[chosen].argmax(axis=1), minlength=2)
    assert (counts <= np.maximum(1, np.round(share * len(probs) * prior))).all()


def test_quotas_margins_and_one_class_a_row():
    logits = np.log(np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.55, 0.45], [0.2, 0.8]]))
    chosen, labels = choose_by_margin(logits, share=1.0, prior=np.array([0.5, 0.5]))
    assert chosen.tolist() == [0, 1, 3, 4]
    assert labels.tolist() == [0, 0, 1, 1]
    three = np.log(np.array([[0.98, 0.01, 0.01], [0.4, 0.35, 0.25], [0.3, 0.4, 0.3]]))
    chosen, labels = choose_by_margin(three, share=0.5, prior=np.full(3, 1 / 3))
    assert len(set(chosen.tolist())) == len(chosen)
    assert dict(zip(chosen.tolist(), labels.tolist(), strict=True))[0] == 0
