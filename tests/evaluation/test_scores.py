"""Scores against scikit-learn, hand-computed examples and bad input."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn import metrics as sklearn_metrics

from xlingual.errors import DataError
from xlingual.evaluation import (
    classification_scores,
    confusion_matrix,
    label_set_majority_baseline,
    majority_baseline,
    multi_label_scores,
)

NUM_LABELS = 4
NAMES = ["差评", "中评", "好评", "无关"]
id_pairs = st.lists(
    st.tuples(st.integers(0, NUM_LABELS - 1), st.integers(0, NUM_LABELS - 1)),
    min_size=1,
    max_size=30,
)
multi_hot_row = st.lists(st.integers(0, 1), min_size=3, max_size=3)
multi_hot_pairs = st.lists(st.tuples(multi_hot_row, multi_hot_row), min_size=1, max_size=20)


def test_hand_computed_example() -> None:
    # 差评: 2 rows, 1 right, predicted once. 好评: 2 rows, both right, predicted three times.
    scores = classification_scores(
        references=[0, 0, 1, 1], predictions=[0, 1, 1, 1], label_names=["差评", "好评"]
    )
    assert scores == pytest.approx(
        {
            "accuracy": 3 / 4,
            "macro_f1": (2 / 3 + 4 / 5) / 2,
            "precision_差评": 1.0,
            "recall_差评": 1 / 2,
            "f1_差评": 2 / 3,
            "precision_好评": 2 / 3,
            "recall_好评": 1.0,
            "f1_好评": 4 / 5,
        }
    )
    assert all(type(value) is float for value in scores.values())


@settings(max_examples=60, deadline=None)
@given(id_pairs)
def test_classification_scores_agree_with_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    references, predictions = map(np.array, zip(*pairs, strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an absent class must not warn
        scores = classification_scores(
            references=references, predictions=predictions, label_names=NAMES
        )
    precision, recall, f1, _ = sklearn_metrics.precision_recall_fscore_support(
        references, predictions, labels=range(NUM_LABELS), zero_division=0
    )
    assert scores["accuracy"] == pytest.approx((references == predictions).mean())
    assert scores["macro_f1"] == pytest.approx(
        sklearn_metrics.f1_score(references, predictions, average="macro", zero_division=0)
    )
    for index, name in enumerate(NAMES):
        assert scores[f"precision_{name}"] == pytest.approx(precision[index])
        assert scores[f"recall_{name}"] == pytest.approx(recall[index])
        assert scores[f"f1_{name}"] == pytest.approx(f1[index])


@settings(max_examples=60, deadline=None)
@given(multi_hot_pairs)
def test_multi_label_scores_agree_with_scikit_learn(
    pairs: list[tuple[list[int], list[int]]],
) -> None:
    references, predictions = map(np.array, zip(*pairs, strict=True))
    scores = multi_label_scores(
        references=references, predictions=predictions, label_names=NAMES[:3]
    )
    in_use = [c for c in range(3) if (references[:, c] | predictions[:, c]).any()]
    assert scores["accuracy"] == pytest.approx(
        sklearn_metrics.accuracy_score(references, predictions)
    )
    assert scores["micro_f1"] == pytest.approx(
        sklearn_metrics.f1_score(references, predictions, average="micro", zero_division=0)
    )
    per_class = sklearn_metrics.f1_score(references, predictions, average=None, zero_division=0)
    assert [scores[f"f1_{name}"] for name in NAMES[:3]] == pytest.approx(list(per_class))
    expected = np.mean(per_class[in_use]) if in_use else 0.0
    assert scores["macro_f1"] == pytest.approx(expected)


@settings(max_examples=30, deadline=None)
@given(id_pairs, st.randoms(use_true_random=False))
def test_order_and_unlabelled_rows_change_nothing(
    pairs: list[tuple[int, int]], random: object
) -> None:
    def score(rows: list[tuple[int, int]]) -> dict[str, float]:
        references, predictions = zip(*rows, strict=True)
        return classification_scores(
            references=references, predictions=predictions, label_names=NAMES
        )

    shuffled = [*pairs, (-100, 2), (-100, -1)]  # a prediction without a reference is free
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert score(shuffled) == score(pairs)


def test_macro_f1_leaves_out_labels_that_nobody_uses_but_not_wrong_guesses() -> None:
    perfect = classification_scores(references=[0, 1], predictions=[0, 1], label_names=NAMES)
    assert perfect["macro_f1"] == 1.0
    assert perfect["f1_好评"] == perfect["precision_好评"] == perfect["recall_好评"] == 0.0
    guessed = classification_scores(references=[0, 1], predictions=[0, 2], label_names=NAMES)
    assert guessed["macro_f1"] == pytest.approx(1 / 3)  # 差评 1, 中评 0 and the guessed 好评 0


def test_confusion_matrix_has_true_labels_down() -> None:
    matrix = confusion_matrix(
        references=[0, 0, 1, 2, -100], predictions=[0, 1, 1, 0, 3], num_labels=4
    )
    assert matrix.dtype.kind == "i"
    assert matrix.tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]


def test_small_integer_types_do_not_overflow() -> None:
    ids = np.full(3, 99, dtype=np.int8)
    matrix = confusion_matrix(references=ids, predictions=ids, num_labels=100)
    assert matrix[99, 99] == 3


def test_multi_label_takes_floats_and_skips_unlabelled_rows() -> None:
    scores = multi_label_scores(
        references=[[1.0, 0.0], [0.0, 1.0], [-100.0, -100.0], [0.0, 0.0]],
        predictions=np.array([[1, 0], [1, 1], [1, 1], [0, 0]], dtype=bool),
        label_names=["价格", "服务"],
    )
    assert scores["accuracy"] == pytest.approx(2 / 3)
    assert scores["micro_f1"] == pytest.approx(4 / 5)
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 1) / 2)


def test_multi_label_without_any_label_in_use() -> None:
    empty = np.zeros((2, 2))
    scores = multi_label_scores(references=empty, predictions=empty, label_names=["a", "b"])
    assert (scores["accuracy"], scores["macro_f1"], scores["micro_f1"]) == (1.0, 0.0, 0.0)


def test_majority_baseline() -> None:
    scores = majority_baseline(references=[1, 1, 1, 0, -100], num_labels=3)
    assert scores == pytest.approx(
        {"majority_accuracy": 3 / 4, "majority_macro_f1": (6 / 7 + 0) / 2}
    )
    tied = majority_baseline(references=[0, 1], num_labels=2)
    assert tied == pytest.approx({"majority_accuracy": 1 / 2, "majority_macro_f1": 1 / 3})


def test_label_set_majority_baseline() -> None:
    scores = label_set_majority_baseline(
        references=[[1, 1], [1, 1], [1, 0], [-100, -100]], num_labels=2
    )
    assert scores == pytest.approx(
        {
            "majority_accuracy": 2 / 3,
            "majority_macro_f1": (1 + 4 / 5) / 2,
            "majority_micro_f1": 10 / 11,
        }
    )


@pytest.mark.parametrize(
    ("references", "predictions", "message"),
    [
        ([0, 1], [0], r"one shape; got \(2,\) and \(1,\)"),
        ([0, 4], [0, 1], r"references must hold label ids from 0 to 3.*got \[4\]"),
        ([0, 1], [0, -1], r"predictions must hold label ids from 0 to 3; got \[-1\]"),
        ([0, -1], [0, 1], r"-100 = no label.*got \[-1\]"),
        ([0, 1], [0, -100], r"predictions must hold.*got \[-100\]"),
        ([0, 1], [[0.1, 0.9], [0.8, 0.2]], r"shape \(2, 2\); take logits.argmax"),
        ([0, 1], [0.2, 0.7], "integer label ids; got type float64"),
        ([0, 1], ["好评", "差评"], "turn label names into ids"),
        ([0, 1], [[0], [0, 1]], "differ in length"),
        ([-100, -100], [0, 1], "none of 2 rows has a label"),
        ([], [], "none of 0 rows has a label"),
    ],
)
def test_bad_ids_are_refused(references: object, predictions: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        classification_scores(
            references=references,  # type: ignore[arg-type]
            predictions=predictions,  # type: ignore[arg-type]
            label_names=NAMES,
        )


@pytest.mark.parametrize(
    ("references", "predictions", "message"),
    [
        ([[1, 0]], [[1, 0, 0]], "one shape"),
        ([[1, 0, 0]], [[1, 0, 0]], r"shape \(num_rows, 2\).*got \(1, 3\)"),
        ([1, 0], [1, 0], r"got \(2,\)"),
        ([[1, 2]], [[1, 0]], r"references must hold 0 or 1.*got \[2\]"),
        ([[1, -100]], [[1, 0]], r"whole row without labels; got \[-100\]"),
        ([[1, 0]], [[0.3, 0.7]], r"predictions must hold 0 or 1; got \[0.3, 0.7\]; threshold"),
        ([[1, float("nan")]], [[1, 0]], "got .nan."),
        ([[-100, -100]], [[1, 0]], "none of 1 rows"),
        ([], [], "none of 0 rows"),
    ],
)
def test_bad_multi_hot_is_refused(references: object, predictions: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        multi_label_scores(
            references=references,  # type: ignore[arg-type]
            predictions=predictions,  # type: ignore[arg-type]
            label_names=["价格", "服务"],
        )


@pytest.mark.parametrize(
    ("label_names", "message"),
    [
        ("好评", r"got the string '好评'"),
        ([], "non-empty"),
        ([0, 1], "strings"),
        (["好评", "好评"], "'好评' comes more than once"),
    ],
)
def test_bad_label_names_are_refused(label_names: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        classification_scores(
            references=[0],
            predictions=[0],
            label_names=label_names,  # type: ignore[arg-type]
        )


def test_one_class_baseline_needs_labels() -> None:
    with pytest.raises(DataError, match="nothing to score"):
        majority_baseline(references=[-100], num_labels=2)
