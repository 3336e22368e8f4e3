from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import pytest
from datasets import Dataset

from tests.transfer.learners import FixedLearner, RuleLearner, noisy_probs, reviews
from xlingual import LabelPredictions, LabelSpace, better_on, safer_of

HELD_OUT = Dataset.from_dict({"text": ["很好", "很差", "还行", "不行"]})
TRUTH = [1, 0, 1, 0]


class Model:
    """Returns given predictions."""

    def __init__(
        self, answers: Sequence, names: tuple[str, ...] = ("差评", "好评"), truth: Sequence = TRUTH
    ) -> None:
        self.answers, self.truth = np.array(answers), np.array(truth)
        self.label_space = LabelSpace(names)
        self.num_calls = 0

    def predict_labels(self, dataset: Dataset) -> LabelPredictions:
        self.num_calls += 1
        assert dataset is HELD_OUT
        return LabelPredictions(self.truth, self.answers, np.zeros((len(self.truth), 2)))


@pytest.mark.parametrize(
    ("zero_shot", "few_shot", "kept"),
    [
        ([1, 0, 1, 0], [1, 0, 1, 1], "zero-shot"),
        ([1, 0, 0, 1], [1, 0, 1, 0], "few-shot"),
        ([1, 0, 0, 0], [0, 0, 1, 0], "few-shot"),  # a tie
    ],
)
def test_the_one_that_is_right_more_often(
    caplog: pytest.LogCaptureFixture, zero_shot: list[int], few_shot: list[int], kept: str
) -> None:
    models = {"zero-shot": Model(zero_shot), "few-shot": Model(few_shot)}
    with caplog.at_level(logging.WARNING, logger="xlingual"):
        better = better_on(HELD_OUT, zero_shot=models["zero-shot"], few_shot=models["few-shot"])
    assert better is models[kept]
    assert f"the {kept} model is kept" in caplog.text
    right = [sum(np.array(answers) == TRUTH) for answers in (zero_shot, few_shot)]
    assert f"zero-shot is right on {right[0]} of 4, few-shot on {right[1]}" in caplog.text


def test_a_row_of_several_labels_is_right_when_all_are() -> None:
    truth = [[1, 0], [0, 1], [1, 1], [0, 0]]
    half_right = Model([[1, 1], [0, 0], [1, 0], [0, 0]], truth=truth)
    one_row_wrong = Model([[0, 1], [0, 1], [1, 1], [0, 0]], truth=truth)
    assert better_on(HELD_OUT, zero_shot=one_row_wrong, few_shot=half_right) is one_row_wrong


@pytest.mark.parametrize("held_out", [HELD_OUT, HELD_OUT.select([])])
def test_without_a_comparison_the_few_shot_model_is_kept(
    caplog: pytest.LogCaptureFixture, held_out: Dataset
) -> None:
    names = ("差评", "好评") if not len(held_out) else ("干净", "吵")
    zero_shot, few_shot = Model(TRUTH), Model([0, 1, 0, 1], names)
    with caplog.at_level(logging.WARNING, logger="xlingual"):
        assert better_on(held_out, zero_shot=zero_shot, few_shot=few_shot) is few_shot
    assert zero_shot.num_calls == few_shot.num_calls == 0
    assert "no comparison" in caplog.text


TEXTS = [f"{i}号房间很干净" for i in range(12)] + [f"{i}号房间很脏" for i in range(8)]
UNLABELED = Dataset.from_dict({"text": TEXTS})
VALIDATION = Dataset.from_dict(
    {
        "text": ["clean", "clean room", "dirty", "dirty room"],
        "label": ["positive"] * 2 + ["negative"] * 2,
    }
)


def reads(text: str) -> float:
    return 0.9 if "干净" in text or "clean" in text else 0.2


def one_more(text: str) -> float:
    return 0.9 if text == "0号房间很脏" else reads(text)


def forgets_the_source(text: str) -> float:
    return 0.9 if text == "dirty" else reads(text)


def one_class(text: str) -> float:
    return 0.9


def swaps(text: str) -> float:
    """The same shares, other rows."""
    return 0.2 if text in TEXTS[:5] else 0.9 if text in TEXTS[-5:] else reads(text)


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (one_more, None),
        (forgets_the_source, "source accuracy -25.0 points"),
        (one_class, "largest class shift 40%"),
        (swaps, "agreement with zero-shot 50%"),
    ],
)
def test_signs_of_a_collapse(rule, reason, caplog):
    teacher, student = RuleLearner(reads), RuleLearner(rule)
    with caplog.at_level(logging.WARNING):
        kept = safer_of(teacher, student, unlabeled=UNLABELED, source_validation=VALIDATION)
    assert kept is (student if reason is None else teacher)
    assert (reason or "lets the new model pass") in caplog.text


def test_without_source_validation_the_target_signs_remain():
    teacher = RuleLearner(reads)
    assert safer_of(teacher, RuleLearner(one_class), unlabeled=UNLABELED) is teacher
    student = RuleLearner(forgets_the_source)
    assert safer_of(teacher, student, unlabeled=UNLABELED) is student


def test_a_student_that_goes_away_from_the_words_is_refused(caplog) -> None:
    """Right on 80 of 100 rows at random, and then on 77: the words of 1,200 rows can tell."""
    rows, labels = reviews(1200)
    teacher = FixedLearner(noisy_probs(labels, accuracy=0.8))
    right = np.flatnonzero(teacher.probs.argmax(axis=1) == labels)
    worse, better = teacher.probs.copy(), teacher.probs.copy()
    worse[right[:36]] = worse[right[:36], ::-1]
    wrong = np.flatnonzero(teacher.probs.argmax(axis=1) != labels)
    better[wrong[:36]] = better[wrong[:36], ::-1]
    with caplog.at_level(logging.WARNING):
        assert safer_of(teacher, FixedLearner(worse), unlabeled=rows) is teacher
    assert "keeps the zero-shot model: agreement with the target's n-grams -" in caplog.text
    student = FixedLearner(better)
    assert safer_of(teacher, student, unlabeled=rows) is student
    pairs = rows.add_column("text_pair", rows["text"])
    student = FixedLearner(worse)
    assert safer_of(teacher, student, unlabeled=pairs) is student, "words cannot judge pairs"


def test_the_guard_reads_no_target_label():
    poisoned = UNLABELED.add_column("label", ["negative"] * 12 + ["positive"] * 8)
    teacher, student = RuleLearner(reads), RuleLearner(one_more)
    assert safer_of(teacher, student, unlabeled=poisoned) is student


def test_without_target_text_the_source_alone_decides() -> None:
    good, bad = Model([1, 0, 1, 0]), Model([0, 1, 1, 0])
    assert safer_of(good, bad, unlabeled=None, source_validation=HELD_OUT) is good
    assert safer_of(bad, good, unlabeled=None, source_validation=HELD_OUT) is good
    assert safer_of(bad, good, unlabeled=None) is good
