"""Centroid labels against their formula, and the loop with learners that read the text."""

from __future__ import annotations

import numpy as np
import pytest
from datasets import Dataset

from tests.transfer.learners import SPACE, RuleLearner
from xlingual.errors import ConfigError, DataError
from xlingual.transfer.data.pseudo_labels import predicted_prior
from xlingual.transfer.loop.source_free import adapt_source_free, centroid_labels

GOOD = ["房间干净又安静", "服务很好", "早餐不錯", "床很舒服", "WiFi很快"]
BAD = ["房间很脏", "淋浴坏了", "check in很慢", "太貴了", "再也不来"]


def positive(text: str) -> float:
    return 0.8 if text in GOOD else 0.3


@pytest.fixture
def unlabeled() -> Dataset:
    return Dataset.from_dict({"text": GOOD + BAD})


def features_of(model, rows) -> np.ndarray:
    return np.array([[1.0, 0.1] if text in GOOD else [-1.0, 0.2] for text in rows["text"]])


class Recorder:
    """A ``fit`` that keeps what it was asked for and answers with given models."""

    def __init__(self, *students: RuleLearner) -> None:
        self.students = list(students)
        self.calls: list[tuple] = []

    def __call__(self, stage, rows, *, loss, after, **settings):
        assert settings == {"freeze_output_layer": True, "num_train_epochs": 1.0}
        self.calls.append((stage, rows, loss, after))
        return self.students[len(self.calls) - 1]


def test_centroid_labels_are_those_of_the_formula():
    generator = np.random.default_rng(0)
    features = generator.normal(size=(30, 4)) + np.repeat(np.eye(3, 4) * 3, 10, axis=0)
    probs = generator.dirichlet(np.ones(3), size=30) * 0.4 + np.repeat(np.eye(3), 10, axis=0) * 0.6
    rows = np.concatenate([features, np.ones((30, 1))], axis=1)

    def nearest(shares: np.ndarray) -> list[int]:
        labels = []
        for row in rows:
            cosines = []
            for k in range(3):
                units = rows / np.sqrt((rows**2).sum(1, keepdims=True))
                centroid = sum(shares[i, k] * units[i] for i in range(30)) / shares[:, k].sum()
                norms = np.sqrt((row**2).sum()) * np.sqrt((centroid**2).sum())
                cosines.append(row @ centroid / norms)
            labels.append(int(np.argmax(cosines)))
        return labels

    assert centroid_labels(features, probs).tolist() == nearest(np.eye(3)[nearest(probs)])


def test_centroids_mend_single_rows_that_the_model_has_wrong(unlabeled):
    probs = np.array([[0.1, 0.9]] * 4 + [[0.6, 0.4]] + [[0.9, 0.1]] * 5)
    labels = centroid_labels(features_of(None, unlabeled), probs)
    assert labels.tolist() == [1] * 5 + [0] * 5


def test_a_class_without_rows_does_not_divide_by_zero():
    labels = centroid_labels(np.ones((4, 2)), np.array([[1.0, 0.0, 0.0]] * 4))
    assert set(labels.tolist()) <= {0, 1, 2}


def test_rounds_follow_each_other_and_hold_the_first_prior(unlabeled):
    teacher = RuleLearner(positive)
    students = [RuleLearner(lambda text: 0.9 if text in GOOD else 0.1) for _ in range(3)]
    fit = Recorder(*students)
    result = adapt_source_free(fit, teacher, unlabeled, extract=features_of, num_rounds=3)
    assert (result.learner, result.rounds, result.stopped) == (students[-1], 3, "")
    assert [call[0] for call in fit.calls] == ["source_free_1", "source_free_2", "source_free_3"]
    assert [call[3] for call in fit.calls] == [teacher, *students[:2]]
    prior = predicted_prior(teacher.predict_labels(unlabeled).probs)
    for _, rows, loss, _ in fit.calls:
        assert loss.prior.tolist() == pytest.approx(prior.tolist(), abs=1e-6)
        assert rows["label"] == ["positive"] * 5 + ["negative"] * 5
        assert set(rows["domain"]) == {1}
        assert set(rows["weight"]) == {0.3}


class CountingLearner(RuleLearner):
    """Counts how often it is called."""

    num_asked = 0

    def predict_labels(self, dataset):
        self.num_asked += 1
        return super().predict_labels(dataset)


def test_every_model_reads_the_text_once(unlabeled):
    teacher, *students = [CountingLearner(positive) for _ in range(4)]
    adapt_source_free(Recorder(*students), teacher, unlabeled, extract=features_of, num_rounds=3)
    assert [model.num_asked for model in (teacher, *students)] == [1] * 4


def test_labels_of_the_text_are_never_read(unlabeled):
    calls = []
    for rows in (unlabeled, unlabeled.add_column("label", ["negative"] * 5 + ["positive"] * 5)):
        fit = Recorder(RuleLearner(positive))
        adapt_source_free(fit, RuleLearner(positive), rows, extract=features_of, num_rounds=1)
        calls.append(fit.calls[0][1])
    assert calls[0].to_dict() == calls[1].to_dict()


def test_a_collapse_ends_it_with_the_round_before(unlabeled):
    teacher, good = RuleLearner(positive), RuleLearner(positive)
    fit = Recorder(good, RuleLearner(lambda text: 0.99))
    result = adapt_source_free(fit, teacher, unlabeled, extract=features_of, num_rounds=5)
    assert result.learner is good
    assert result.rounds == 1
    assert "round 2" in result.stopped
    fit = Recorder(RuleLearner(lambda text: 0.99))
    result = adapt_source_free(fit, teacher, unlabeled, extract=features_of)
    assert result.learner is teacher


def test_rows_of_a_class_that_lie_apart_are_left_alone(unlabeled):
    def scattered(model, rows) -> np.ndarray:
        return np.random.default_rng(0).normal(size=(len(rows), 2))

    teacher, student = RuleLearner(positive), RuleLearner(positive)
    fit = Recorder(student)
    result = adapt_source_free(fit, teacher, unlabeled, extract=scattered, num_rounds=1)
    assert (result.learner, fit.calls) == (teacher, [])
    assert "the centroids agree on" in result.stopped
    result = adapt_source_free(
        fit, teacher, unlabeled, extract=scattered, num_rounds=1, guard=False
    )
    assert result.learner is student


def test_without_the_guard_it_goes_on(unlabeled):
    student = RuleLearner(lambda text: 0.99)
    result = adapt_source_free(
        Recorder(student), RuleLearner(positive), unlabeled, extract=features_of, num_rounds=1,
        guard=False,
    )  # fmt: skip
    assert result.learner is student


def test_bad_input(unlabeled):
    teacher = RuleLearner(positive)
    with pytest.raises(DataError, match="no rows"):
        adapt_source_free(Recorder(), teacher, unlabeled.select([]), extract=features_of)
    with pytest.raises(ConfigError, match="at least one round"):
        adapt_source_free(Recorder(), teacher, unlabeled, extract=features_of, num_rounds=0)
    assert teacher.label_space == SPACE
