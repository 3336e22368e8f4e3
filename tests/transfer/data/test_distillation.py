from __future__ import annotations

import numpy as np
import pytest
from datasets import Dataset

from xlingual import LabelSpace, TeacherEnsemble, label_bitext
from xlingual.data import Bitext
from xlingual.errors import ConfigError, DataError, LabelSpaceError
from xlingual.inference import Prediction
from xlingual.transfer import fuse_probs

SPACE = LabelSpace(("negative", "positive"))
ROWS = Dataset.from_dict(
    {"text": ["很好", "很差", "还行"], "label": ["positive", None, "negative"]}
)


class Says:
    """A teacher with its own names and order of labels."""

    def __init__(self, *rows: tuple[float, ...], labels=("negative", "positive")) -> None:
        self.rows, self.label_names = rows, labels

    def predict(self, rows):
        return [
            Prediction(probabilities=dict(zip(self.label_names, row, strict=True)))
            for row in self.rows[: len(rows)]
        ]


FIRST = Says((0.1, 0.9), (0.8, 0.2), (0.4, 0.6))
SECOND = Says((0.5, 0.5), (0.7, 0.3), (0.1, 0.9), labels=("Positive", "Negative"))


def test_fused_by_weights_as_in_the_formula():
    generator = np.random.default_rng(0)
    probs = [generator.dirichlet(np.ones(3), size=5) for _ in range(3)]
    weights = [1.0, 2.5, 0.5]
    expected = sum(w * p for w, p in zip(weights, probs, strict=True)) / sum(weights)
    assert np.allclose(fuse_probs(probs, weights=weights), expected)
    assert np.allclose(fuse_probs(probs), np.mean(probs, axis=0))


def test_labels_are_matched_by_name_and_not_by_place():
    teachers = TeacherEnsemble(
        {"a": FIRST, "b": SECOND}, task="sequence", label_space=SPACE, weights=[3, 1]
    )
    output = teachers.predict_labels(ROWS)
    second = np.array([[0.5, 0.5], [0.3, 0.7], [0.9, 0.1]])
    assert np.allclose(output.probs, (3 * np.array(FIRST.rows) + second) / 4)
    assert output.predictions.tolist() == [1, 0, 0]
    assert output.references.tolist() == [-100] * 3


def test_hard_labels_stay_beside_the_soft_ones():
    taught = TeacherEnsemble({"a": FIRST}, task="sequence", label_space=SPACE).teach(ROWS)
    assert taught["label"][:] == ["positive", None, "negative"]
    assert taught["soft_labels"][1] == {"negative": 0.8, "positive": 0.2}
    texts = ROWS.remove_columns("label")
    unlabeled = TeacherEnsemble({"a": FIRST}, task="sequence", label_space=SPACE).teach(texts)
    assert "label" not in unlabeled.column_names


def test_the_student_learns_the_side_that_the_teacher_cannot_read():
    bitext = Bitext("b", ["Fine room.", "Bad room.", "A room."], ["房间好。", "房间差。", "房间。"])
    teachers = TeacherEnsemble({"a": FIRST}, task="sequence", label_space=SPACE)
    rows = label_bitext(teachers, bitext, confidence_threshold=0.7, balance=False)
    assert rows["text"][:] == ["房间好。", "房间差。"]


@pytest.mark.parametrize("labels", [("bad", "good"), ("negative", "neutral", "positive")])
def test_another_label_space_is_refused(labels):
    teacher = Says((0.0,) * len(labels), labels=labels)
    with pytest.raises(LabelSpaceError, match=f"teacher big has the labels {labels[0]}.*label_map"):
        TeacherEnsemble({"big": teacher}, task="sequence", label_space=SPACE)


def test_a_teacher_of_nan_is_refused():
    with pytest.raises(DataError, match=r"teacher 2 gave .*NaN.* for 1 of 2 rows"):
        fuse_probs([np.ones((2, 2)), np.array([[0.5, np.nan], [0.5, 0.5]])])

    class Silent(Says):
        def predict(self, rows):
            return [Prediction(error="the model gave no finite logits")] * len(rows)

    with pytest.raises(DataError, match="teacher big has no answer for 3 of 3 rows"):
        TeacherEnsemble({"big": Silent()}, task="sequence", label_space=SPACE).teach(ROWS)


@pytest.mark.parametrize("weights", [[1.0], [1.0, 0.0], [1.0, float("nan")], [1.0, -1.0]])
def test_weights_that_mean_nothing(weights):
    with pytest.raises(ConfigError, match="2 teachers needs one weight above 0 for each"):
        TeacherEnsemble(
            {"a": FIRST, "b": SECOND}, task="sequence", label_space=SPACE, weights=weights
        )


def test_no_teacher():
    with pytest.raises(ConfigError, match="fusing 0 teachers"):
        TeacherEnsemble({}, task="sequence", label_space=SPACE)


def test_shapes_that_differ():
    with pytest.raises(DataError, match=r"teacher 2 gave probabilities of shape \(3, 2\)"):
        fuse_probs([np.ones((2, 2)), np.ones((3, 2))])
