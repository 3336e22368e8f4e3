"""Labels by the target's n-grams: better than the model's if its errors do not follow the words."""

from __future__ import annotations

import numpy as np
import pytest
from datasets import Dataset

from tests.transfer.learners import SPACE, FixedLearner, noisy_probs, reviews
from xlingual.errors import ConfigError, DataError
from xlingual.evaluation.ngrams import count_ngrams
from xlingual.transfer.data.co_training import co_train_head, co_trained_rows
from xlingual.transfer.data.ngram_view import co_train_labels
from xlingual.transfer.model.linear_head import LinearMap


@pytest.mark.parametrize("share", [0.5, 0.7])
def test_words_correct_errors_that_are_not_in_them(share) -> None:
    rows, labels = reviews(1200, share=share)
    probs = noisy_probs(labels, accuracy=0.8)
    found = co_train_labels(probs, rows)
    assert not found.refused
    assert (probs.argmax(axis=1) == labels).mean() < 0.85
    assert (found.probs.argmax(axis=1) == labels).mean() > 0.89
    assert (found.labels == labels[found.rows]).mean() > 0.95
    assert 0.75 * len(rows) < len(found.rows) <= 0.85 * len(rows)
    assert (np.diff(found.rows) > 0).all()


def test_a_label_column_is_never_read() -> None:
    rows, labels = reviews(1000)
    probs = noisy_probs(labels, accuracy=0.8)
    plain = co_train_labels(probs, rows)
    poisoned = co_train_labels(probs, rows.add_column("label", ["negative"] * len(rows)))
    np.testing.assert_array_equal(plain.labels, poisoned.labels)
    np.testing.assert_array_equal(plain.probs, poisoned.probs)


def test_words_that_do_not_say_the_label_are_refused() -> None:
    """The text says nothing about the classes: n-grams and model agree on half of the rows."""
    rows, _ = reviews(1000)
    generator = np.random.default_rng(3)
    probs = noisy_probs(generator.integers(0, 2, len(rows)), accuracy=0.9)
    found = co_train_labels(probs, rows, min_agreement=0.75)
    assert "agree with the model on" in found.refused


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"text": ["好"] * 50}, "50 target rows are too few, 300 are needed"),
        ({"text": ["好"] * 1000, "text_pair": ["坏"] * 1000}, "one text each"),
        ({"tokens": [["好"]] * 1000}, "one text each"),
        ({"text": [""] * 1000}, "no n-gram"),
    ],
)
def test_rows_that_it_is_not_for_keep_the_model(columns, said) -> None:
    rows = Dataset.from_dict(columns)
    learner = FixedLearner(noisy_probs(np.zeros(len(rows), dtype=int), accuracy=1.0))

    found = co_train_labels(learner.predict_labels(rows).probs, rows)
    assert said in found.refused
    assert not len(found.rows)
    assert co_trained_rows(learner, rows) is None


def test_a_student_gets_the_co_trained_rows_alone() -> None:
    rows, labels = reviews(1000)
    teacher = FixedLearner(noisy_probs(labels, accuracy=0.8))
    found = co_trained_rows(teacher, rows.add_column("label", ["?"] * len(rows)))
    assert found is not None
    assert set(found["label"]) == set(SPACE.names)
    assert set(found["domain"]) == {1}
    gold = dict(zip(rows["text"], labels, strict=True))
    right = [SPACE.id_of(row["label"]) == gold[row["text"]] for row in found]
    assert np.mean(right) > 0.95


def test_a_linear_head_follows_the_words() -> None:
    rows, labels = reviews(1600)
    generator = np.random.default_rng(0)
    target = np.where(labels[:, None] == 1, 1.0, -1.0) * np.array([0.3, 1.2])
    features = target + generator.normal(size=(len(rows), 2))
    head = LinearMap(np.array([[-1.0, -0.4], [1.0, 0.4]]), np.zeros(2))
    before = (head(features).argmax(axis=1) == labels).mean()
    after = (co_train_head(head, features, rows)(features).argmax(axis=1) == labels).mean()
    assert after > before + 0.1


def test_ngrams_are_of_characters_in_chinese_and_of_words_in_english() -> None:
    assert count_ngrams(["房间很干净", "房间不干净", "房间还干净"]).shape == (3, 6)
    assert count_ngrams(["a clean room", "a clean bed", "the clean room"]).shape == (3, 1)


def test_the_same_labels_each_time() -> None:
    rows, labels = reviews(1000)
    first, second = (co_train_labels(noisy_probs(labels, accuracy=0.8), rows) for _ in range(2))
    np.testing.assert_array_equal(first.probs, second.probs)


def test_bad_input_is_refused() -> None:
    rows, labels = reviews(1000)
    probs = noisy_probs(labels, accuracy=0.8)
    with pytest.raises(DataError, match="1000 rows"):
        co_train_labels(probs[:10], rows)
    with pytest.raises(ConfigError, match="rounds >= 1"):
        co_train_labels(probs, rows, rounds=0)


def test_several_labels_a_row_keep_the_model() -> None:
    rows, _ = reviews(1000)
    found = co_train_labels(np.full((1000, 3), 0.7), rows)
    assert "one label a row" in found.refused
