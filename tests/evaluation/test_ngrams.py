"""Agreement of target n-grams with predictions that they were not fitted on."""

from __future__ import annotations

import numpy as np
import pytest
from datasets import Dataset

from tests.transfer.learners import noisy_probs, reviews
from xlingual.evaluation import ngram_agreement


@pytest.mark.parametrize("accuracy", [0.7, 0.8, 0.95])
def test_agreement_is_about_the_accuracy(accuracy) -> None:
    """The words predict the classes, but not random errors."""
    rows, labels = reviews(1200)
    probs = noisy_probs(labels, accuracy=accuracy)
    agrees = ngram_agreement(probs, rows)
    is_right = probs.argmax(axis=1) == labels
    assert agrees.mean() == pytest.approx(is_right.mean(), abs=0.04)
    assert (agrees == is_right).mean() > 0.9


def test_a_row_does_not_vouch_for_itself() -> None:
    """Without folds, n-grams agree with any prediction for a text that occurs three times."""
    rows, _ = reviews(400)
    generator = np.random.default_rng(1)
    texts = [f"{text}{number:03d}号" for number, text in enumerate(rows["text"])]
    said = np.repeat(generator.integers(0, 2, size=400), 3)
    probs = np.where(np.eye(2)[said] == 1, 0.9, 0.1)
    thrice = Dataset.from_dict({"text": np.repeat(texts, 3).tolist()})
    assert ngram_agreement(probs, thrice).mean() == pytest.approx(0.5, abs=0.08)


def test_the_order_of_the_rows_does_not_matter() -> None:
    rows, labels = reviews(600)
    probs = noisy_probs(labels, accuracy=0.8)
    order = np.random.default_rng(0).permutation(600)
    shuffled = ngram_agreement(probs[order], rows.select(order))
    np.testing.assert_array_equal(shuffled, ngram_agreement(probs, rows)[order])


def test_a_poisoned_label_column_changes_nothing() -> None:
    rows, labels = reviews(600)
    probs = noisy_probs(labels, accuracy=0.8)
    poisoned = rows.add_column("label", 1 - labels)
    np.testing.assert_array_equal(ngram_agreement(probs, rows), ngram_agreement(probs, poisoned))


def test_where_words_have_no_say() -> None:
    rows, labels = reviews(600)
    probs = noisy_probs(labels, accuracy=0.8)
    assert ngram_agreement(probs, rows.add_column("text_pair", rows["text"])) is None
    assert ngram_agreement(probs[:299], rows.select(range(299))) is None
    assert ngram_agreement(np.full((600, 2), 0.9), rows) is None, "several labels a row"
    alone = Dataset.from_dict({"text": [chr(0x4E00 + 2 * row) for row in range(600)]})
    assert ngram_agreement(probs, alone) is None, "no n-gram in three rows"
