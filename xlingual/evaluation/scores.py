"""Scores of a classifier, as flat dictionaries of floats.

Every score here depends on the rows only through how often each distinct (reference, prediction)
pair occurs, so rows are first folded into :class:`PairCounts`. The bootstrap in ``intervals.py``
redraws those counts and calls the same :func:`scores_from_counts`: one formula, one place.

Conventions, for a label with ``tp`` true positives, ``p`` predictions and ``a`` actual rows::

    precision = tp / p        recall = tp / a        f1 = 2 tp / (p + a)        0 / 0 = 0
    macro_f1  = unweighted mean of f1 over the labels with p + a > 0
    micro_f1  = 2 sum(tp) / (sum(p) + sum(a))

``macro_f1`` thus averages over the labels that occur in the references or in the predictions, as
``sklearn.metrics.f1_score(average="macro")`` does for label ids. A label of the label space that
this set never uses neither helps nor harms; its own three scores read 0. The same rule holds for
multi-hot labels, where scikit-learn would count the unused column as 0 in the mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from xlingual.evaluation.label_arrays import (
    IntArray,
    check_label_names,
    labelled_ids,
    labelled_multi_hot,
)

__all__ = [
    "PairCounts",
    "classification_scores",
    "confusion_matrix",
    "count_label_pairs",
    "count_label_set_pairs",
    "label_set_majority_baseline",
    "majority_baseline",
    "multi_label_scores",
    "scores_from_counts",
]

FloatArray = npt.NDArray[np.float64]


class PairCounts(NamedTuple):
    """The distinct (reference, prediction) pairs of a set and how often each occurs.

    Attributes:
        counts: Rows that show each pair, shape ``(num_pairs,)``, all above 0.
        actual: The reference of each pair, multi-hot, shape ``(num_pairs, num_labels)``.
        predicted: The prediction of each pair, multi-hot, shape ``(num_pairs, num_labels)``.
    """

    counts: IntArray
    actual: FloatArray
    predicted: FloatArray


def classification_scores(
    *, references: npt.ArrayLike, predictions: npt.ArrayLike, label_names: Sequence[str]
) -> dict[str, float]:
    """Accuracy, macro-F1 and per-class precision, recall and F1 of a single-label classifier.

    Args:
        references: True label ids, shape ``(num_rows,)``; rows with ``-100`` are left out.
        predictions: Predicted label ids, shape ``(num_rows,)``.
        label_names: The names, ordered by id; the per-class keys end in them.

    Returns:
        ``accuracy``, ``macro_f1`` and, for each name, ``precision_<name>``, ``recall_<name>``,
        ``f1_<name>``; fractions from 0 to 1. The module docstring has the formulas.

    Raises:
        DataError: Shapes differ, ids are out of range, or no row has a label.

    Example:
        >>> scores = classification_scores(
        ...     references=[0, 0, 1, 1], predictions=[0, 1, 1, 1], label_names=["差评", "好评"]
        ... )
        >>> scores["accuracy"], scores["recall_差评"], round(scores["f1_好评"], 3)
        (0.75, 0.5, 0.8)
    """
    names = check_label_names(label_names)
    pairs = count_label_pairs(references=references, predictions=predictions, num_labels=len(names))
    return _as_floats(scores_from_counts(pairs, counts=pairs.counts, label_names=names))


def multi_label_scores(
    *, references: npt.ArrayLike, predictions: npt.ArrayLike, label_names: Sequence[str]
) -> dict[str, float]:
    """Subset accuracy, macro-F1, micro-F1 and per-class scores of a multi-label classifier.

    Args:
        references: True labels, multi-hot (0 or 1), shape ``(num_rows, num_labels)``; rows that
            are ``-100`` throughout are left out.
        predictions: Predicted labels, multi-hot, same shape.
        label_names: The names of the columns, in order.

    Returns:
        ``accuracy`` (share of rows whose label set is exactly right), ``macro_f1``, ``micro_f1``
        and ``precision_<name>``, ``recall_<name>``, ``f1_<name>``; fractions from 0 to 1.

    Raises:
        DataError: Shapes are wrong, a value is not 0 or 1, or no row has labels.

    Example:
        >>> scores = multi_label_scores(
        ...     references=[[1, 0], [1, 1]], predictions=[[1, 0], [1, 0]], label_names=["a", "b"]
        ... )
        >>> scores["accuracy"], scores["macro_f1"], scores["micro_f1"]
        (0.5, 0.5, 0.8)
    """
    names = check_label_names(label_names)
    pairs = count_label_set_pairs(
        references=references, predictions=predictions, num_labels=len(names)
    )
    scores = scores_from_counts(pairs, counts=pairs.counts, label_names=names, with_micro_f1=True)
    return _as_floats(scores)


def confusion_matrix(
    *, references: npt.ArrayLike, predictions: npt.ArrayLike, num_labels: int
) -> IntArray:
    """Count the rows of each (true label, predicted label) pair.

    Args:
        references: True label ids, shape ``(num_rows,)``; rows with ``-100`` are left out.
        predictions: Predicted label ids, shape ``(num_rows,)``.
        num_labels: Size of the label space; labels that do not occur keep their row and column.

    Returns:
        Counts of shape ``(num_labels, num_labels)``: the true label down, the predicted across.

    Raises:
        DataError: Shapes differ, ids are out of range, or no row has a label.
    """
    true_ids, predicted_ids = labelled_ids(
        references=references, predictions=predictions, num_labels=num_labels
    )
    cells = np.bincount(true_ids * num_labels + predicted_ids, minlength=num_labels**2)
    return cells.reshape(num_labels, num_labels).astype(np.int64)


def majority_baseline(*, references: npt.ArrayLike, num_labels: int) -> dict[str, float]:
    """Scores of always predicting the most frequent class of the set.

    The class is taken from the scored references, so no constant prediction does better: a model
    below ``majority_accuracy`` has learnt nothing that this set rewards.

    Args:
        references: True label ids, shape ``(num_rows,)``; rows with ``-100`` are left out.
        num_labels: Size of the label space.

    Returns:
        ``majority_accuracy`` and ``majority_macro_f1`` (ties make no difference to either).

    Raises:
        DataError: Ids are out of range, or no row has a label.
    """
    labels, _ = labelled_ids(references=references, predictions=references, num_labels=num_labels)
    answers = np.full_like(labels, np.bincount(labels).argmax())
    scores = classification_scores(
        references=labels, predictions=answers, label_names=[str(i) for i in range(num_labels)]
    )
    return {f"majority_{key}": scores[key] for key in ("accuracy", "macro_f1")}


def label_set_majority_baseline(*, references: npt.ArrayLike, num_labels: int) -> dict[str, float]:
    """Scores of always predicting the most frequent label set: the multi-label baseline.

    Args:
        references: True labels, multi-hot, shape ``(num_rows, num_labels)``; rows that are
            ``-100`` throughout are left out.
        num_labels: Number of columns.

    Returns:
        ``majority_accuracy`` (subset accuracy), ``majority_macro_f1``, ``majority_micro_f1``.
        Of equally frequent sets, the first in the order of their columns is used.

    Raises:
        DataError: The shape is wrong, a value is not 0 or 1, or no row has labels.
    """
    labels, _ = labelled_multi_hot(
        references=references, predictions=references, num_labels=num_labels
    )
    label_sets, counts = np.unique(labels, axis=0, return_counts=True)
    answers = np.broadcast_to(label_sets[counts.argmax()], labels.shape)
    scores = multi_label_scores(
        references=labels, predictions=answers, label_names=[str(i) for i in range(num_labels)]
    )
    return {f"majority_{key}": scores[key] for key in ("accuracy", "macro_f1", "micro_f1")}


def count_label_pairs(
    *, references: npt.ArrayLike, predictions: npt.ArrayLike, num_labels: int
) -> PairCounts:
    """Fold rows of label ids into the non-zero cells of their confusion matrix."""
    matrix = confusion_matrix(references=references, predictions=predictions, num_labels=num_labels)
    true_ids, predicted_ids = matrix.nonzero()
    one_hot = np.eye(num_labels)
    return PairCounts(matrix[true_ids, predicted_ids], one_hot[true_ids], one_hot[predicted_ids])


def count_label_set_pairs(
    *, references: npt.ArrayLike, predictions: npt.ArrayLike, num_labels: int
) -> PairCounts:
    """Fold multi-hot rows into their distinct (reference, prediction) pairs."""
    true_sets, predicted_sets = labelled_multi_hot(
        references=references, predictions=predictions, num_labels=num_labels
    )
    rows = np.concatenate([true_sets, predicted_sets], axis=1)
    pairs, counts = np.unique(rows, axis=0, return_counts=True)
    actual, predicted = np.split(pairs.astype(np.float64), 2, axis=1)
    return PairCounts(counts.astype(np.int64), actual, predicted)


def scores_from_counts(
    pairs: PairCounts,
    *,
    counts: npt.NDArray[np.int64],
    label_names: Sequence[str],
    with_micro_f1: bool = False,
) -> dict[str, FloatArray]:
    """Compute every score for one or many count vectors of the same pairs.

    Args:
        pairs: The distinct pairs.
        counts: Rows that show each pair, shape ``(..., num_pairs)``: the observed counts, or one
            row of counts for each bootstrap resample. The sum over pairs must not be 0.
        label_names: The names, ordered by id or column.
        with_micro_f1: Add ``micro_f1``. For single labels it equals accuracy, hence the default.

    Returns:
        Arrays of shape ``(...)`` under the keys of :func:`classification_scores`.
    """
    weights = counts.astype(np.float64)  # exact up to 2**53 rows, and fast to multiply
    true_positives = weights @ (pairs.actual * pairs.predicted)
    predicted, actual = weights @ pairs.predicted, weights @ pairs.actual
    is_exact = (pairs.actual == pairs.predicted).all(axis=1)
    f1 = _ratio(2 * true_positives, predicted + actual)
    num_in_use = ((predicted + actual) > 0).sum(axis=-1)
    scores = {
        "accuracy": _ratio(weights @ is_exact.astype(np.float64), weights.sum(axis=-1)),
        "macro_f1": _ratio(f1.sum(axis=-1), num_in_use),  # a label not in use adds f1 = 0
    }
    if with_micro_f1:
        scores["micro_f1"] = _ratio(
            2 * true_positives.sum(axis=-1), (predicted + actual).sum(axis=-1)
        )
    per_class = {
        "precision": _ratio(true_positives, predicted),
        "recall": _ratio(true_positives, actual),
        "f1": f1,
    }
    for index, name in enumerate(label_names):
        scores.update({f"{key}_{name}": rate[..., index] for key, rate in per_class.items()})
    return scores


def _ratio(numerator: npt.ArrayLike, denominator: npt.ArrayLike) -> FloatArray:
    """Divide, with 0 / 0 = 0 and no warning."""
    top, bottom = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    return np.asarray(np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0))


def _as_floats(scores: dict[str, FloatArray]) -> dict[str, float]:
    return {key: float(value) for key, value in scores.items()}
