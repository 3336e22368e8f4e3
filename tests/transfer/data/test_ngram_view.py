"""The gain in agreement of new predictions with the n-grams of the target."""

from __future__ import annotations

import pytest

from tests.transfer.learners import noisy_probs, reviews
from xlingual.transfer.data.ngram_view import ngram_gain


def test_gain_counts_the_rows_that_come_to_agree() -> None:
    rows, labels = reviews(1200)
    probs = noisy_probs(labels, accuracy=0.8)
    assert ngram_gain(probs, probs.argmax(axis=1), rows) == 0
    assert ngram_gain(probs, labels, rows) == pytest.approx(0.2, abs=0.04)
    assert ngram_gain(probs, 1 - labels, rows) < -0.5
    assert ngram_gain(probs, labels, rows.add_column("text_pair", rows["text"])) is None
