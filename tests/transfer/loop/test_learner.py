"""Text that each model reads only once."""

from __future__ import annotations

import gc
import weakref

from datasets import Dataset

from tests.transfer.learners import FixedLearner, noisy_probs, reviews
from xlingual import LabelPredictions, ReadOnce, co_trained_rows, safer_of, self_train


class Counting(FixedLearner):
    """Counts how often it is called."""

    num_asked = 0

    def predict_labels(self, dataset: Dataset) -> LabelPredictions:
        self.num_asked += 1
        return super().predict_labels(dataset)


def test_method_and_guard_ask_each_model_once() -> None:
    rows, labels = reviews(1200)
    teacher = Counting(noisy_probs(labels, accuracy=0.8))
    student = Counting(noisy_probs(labels, accuracy=0.9))
    text = ReadOnce(rows)
    assert co_trained_rows(teacher, text) is not None
    assert safer_of(teacher, student, unlabeled=text) is student
    assert safer_of(teacher, student, unlabeled=text) is student
    assert (teacher.num_asked, student.num_asked) == (1, 1)
    assert safer_of(teacher, student, unlabeled=rows) is student
    assert teacher.num_asked == 2, "another reading, for rows that nobody keeps"


def test_self_training_and_its_guard_ask_once() -> None:
    rows, labels = reviews(300)
    source = Dataset.from_dict({"text": ["clean", "dirty"], "label": ["positive", "negative"]})
    probs = noisy_probs(labels, accuracy=0.9)
    teacher, second, students, text = Counting(probs), Counting(probs), [], ReadOnce(rows)

    def fit(stage: str, mixed: Dataset) -> Counting:
        students.append(Counting(probs))
        return students[-1]

    kept = self_train(
        fit, teacher, source, text, second_teacher=second, confidence_threshold=0.6
    ).learner
    assert kept is students[-1]
    assert safer_of(teacher, kept, unlabeled=text) is kept
    assert [model.num_asked for model in (teacher, second, *students)] == [1] * 5


def test_predictions_go_with_their_model() -> None:
    rows, labels = reviews(20)
    text, model = ReadOnce(rows), FixedLearner(noisy_probs(labels, accuracy=1.0))
    assert text.predicted_by(model) is text.predicted_by(model)
    kept = weakref.ref(model)
    del model
    gc.collect()
    assert kept() is None
    assert ReadOnce.of(text) is text
    assert ReadOnce.of(rows).rows is rows
