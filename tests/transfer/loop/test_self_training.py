from __future__ import annotations

import numpy as np
import pytest
from datasets import Dataset

from tests.transfer.learners import FixedLearner, RuleLearner
from xlingual.errors import DataError
from xlingual.transfer.loop.self_training import doubling_shares, self_train

SOURCE = Dataset.from_dict(
    {"text": ["clean and quiet", "dirty and loud"], "label": ["positive", "negative"]}
)
GOOD = [f"{i}号房间很干净" for i in range(30)]
BAD = [f"{i}号房间很脏" for i in range(20)]
UNSURE = [f"{i}号房间" for i in range(10)]
UNLABELED = Dataset.from_dict({"text": GOOD + BAD + UNSURE})


def sensible(text: str) -> float:
    return 0.95 if "干净" in text else 0.08 if "脏" in text else 0.55


class Fits:
    """Stands in for training: remembers the rows, gives the learner it was told to give."""

    def __init__(self, *rules) -> None:
        self.rules = list(rules)
        self.rows: list[Dataset] = []
        self.names: list[str] = []

    def __call__(self, name: str, rows: Dataset) -> RuleLearner:
        self.names.append(name)
        self.rows.append(rows)
        return RuleLearner(self.rules[len(self.rows) - 1])


def test_three_rounds_each_with_more_rows():
    fits = Fits(sensible, sensible, sensible)
    result = self_train(fits, RuleLearner(sensible), SOURCE, UNLABELED)
    assert result.rounds == 3
    assert result.stopped == ""
    assert fits.names == ["self_training_1", "self_training_2", "self_training_3"]
    sizes = [len(rows) - len(SOURCE) for rows in fits.rows]
    assert sizes == sorted(sizes)
    assert sizes[0] == pytest.approx(0.2 * len(UNLABELED), abs=1)
    last = fits.rows[-1]
    assert set(last["domain"][:]) == {0, 1}
    pseudo = last.filter(lambda row: row["domain"] == 1)
    assert not any(text in UNSURE for text in pseudo["text"])
    assert pseudo["label"][:] == [None] * len(pseudo)
    for row in pseudo:
        assert (row["soft_labels"]["positive"] > 0.5) == (row["text"] in GOOD)


def test_a_poisoned_label_column_changes_nothing():
    poisoned = UNLABELED.add_column("label", ["negative"] * 30 + ["positive"] * 30)
    seen = []
    for rows in (UNLABELED, poisoned):
        fits = Fits(sensible, sensible, sensible)
        self_train(fits, RuleLearner(sensible), SOURCE, rows)
        seen.append([part.to_list() for part in fits.rows])
    assert seen[0] == seen[1]


def test_a_student_that_collapses_is_not_kept():
    fits = Fits(sensible, lambda text: 0.97)
    result = self_train(fits, RuleLearner(sensible), SOURCE, UNLABELED)
    assert result.rounds == 1
    assert result.learner.rule is sensible
    assert "class 0" in result.stopped


def test_a_student_that_contradicts_its_teacher_is_not_kept():
    def contrary(text: str) -> float:
        return 1 - sensible(text)

    teacher = RuleLearner(sensible)
    result = self_train(Fits(contrary), teacher, SOURCE, UNLABELED)
    assert result.learner is teacher
    assert result.rounds == 0
    assert "agree" in result.stopped or "class" in result.stopped


def test_an_unsure_teacher_is_kept():
    teacher = RuleLearner(lambda text: 0.6)
    fits = Fits()
    result = self_train(fits, teacher, SOURCE, UNLABELED)
    assert result.learner is teacher
    assert fits.names == []
    assert "confident of only 0 rows" in result.stopped


def test_two_teachers_must_agree():
    fits = Fits(sensible)
    second = RuleLearner(lambda text: 0.9 if text in GOOD[:15] else 0.1)
    self_train(fits, RuleLearner(sensible), SOURCE, UNLABELED, shares=[1.0], second_teacher=second)
    used = set(fits.rows[0]["text"]) - set(SOURCE["text"])
    assert used <= set(GOOD[:15] + BAD)


def test_confidence_is_read_after_calibration():
    def flat(probs: np.ndarray) -> np.ndarray:
        return 0.5 + (probs - 0.5) / 10

    result = self_train(Fits(), RuleLearner(sensible), SOURCE, UNLABELED, calibrate=flat)
    assert result.rounds == 0


def test_no_target_text():
    with pytest.raises(DataError, match="target_unlabeled"):
        self_train(Fits(), RuleLearner(sensible), SOURCE, UNLABELED.select([]))


def test_rows_of_several_labels_keep_the_teacher(caplog) -> None:
    several = FixedLearner(np.full((len(UNLABELED), 2), 0.9))
    result = self_train(Fits(), several, SOURCE, UNLABELED)
    assert result.learner is several
    assert result.stopped == "it needs one label per row"
    assert "self-training is left out" in caplog.text


def test_each_round_uses_twice_the_rows_of_the_one_before():
    assert doubling_shares() == pytest.approx([0.2, 0.4, 0.8])
    assert doubling_shares(1) == [0.8]
    assert doubling_shares(2, last=1.0) == [0.5, 1.0]
