"""Checks of the references and predictions that the scores are computed from.

Everything that would make a score silently wrong is refused here: logits in place of ids, arrays of
different lengths, ids outside the label space, a set without a single labelled row.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from xlingual.errors import DataError
from xlingual.tasks import IGNORE_INDEX

__all__ = ["IntArray", "check_label_names", "gives_one_label", "labelled_ids", "labelled_multi_hot"]

IntArray = npt.NDArray[np.int64]


def check_label_names(label_names: Sequence[str]) -> tuple[str, ...]:
    """Return the label names as a tuple, ordered by id.

    Raises:
        DataError: ``label_names`` is empty, a bare string, holds something other than strings, or
            holds one name twice (two classes would share the key ``f1_<name>``).
    """
    if isinstance(label_names, str):
        # A string is a sequence of characters: "好评" would count as two labels.
        raise DataError(
            f"label_names must be a list of names, ordered by id; got the string {label_names!r}; "
            f"pass [{label_names!r}, ...]"
        )
    names = tuple(label_names)
    if not names or not all(isinstance(name, str) for name in names):
        raise DataError(
            f"label_names must be a non-empty list of strings, ordered by id; got {list(names)!r}"
        )
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(
            f"label_names must differ from each other; {', '.join(map(repr, repeated))} "
            f"comes more than once in {list(names)!r}; merge or rename the classes"
        )
    return names


def labelled_ids(
    *, references: npt.ArrayLike, predictions: npt.ArrayLike, num_labels: int | None = None
) -> tuple[IntArray, IntArray]:
    """Check two arrays of label ids and leave out the rows that have no label.

    Args:
        references: True label ids, shape ``(num_rows,)``; ``-100`` marks a row without a label.
        predictions: Predicted label ids, shape ``(num_rows,)``. On rows without a label they may
            hold anything.
        num_labels: Ids must be below this number; ``None`` sets no upper limit.

    Returns:
        ``(references, predictions)`` of the labelled rows, int64, shape ``(num_labelled,)``.

    Raises:
        DataError: Shapes differ, an array is not 1-D or not of integers, an id is out of range, or
            no row has a label.
    """
    true_ids = _id_array(references, name="references")
    predicted_ids = _id_array(predictions, name="predictions")
    _check_same_shape(true_ids, predicted_ids)
    has_label = true_ids != IGNORE_INDEX
    _check_any_labelled(has_label)
    true_ids, predicted_ids = true_ids[has_label], predicted_ids[has_label]
    _check_range(true_ids, name="references", num_labels=num_labels)
    _check_range(predicted_ids, name="predictions", num_labels=num_labels)
    return true_ids, predicted_ids


def labelled_multi_hot(
    *, references: npt.ArrayLike, predictions: npt.ArrayLike, num_labels: int
) -> tuple[IntArray, IntArray]:
    """Check two multi-hot arrays and leave out the rows that have no labels.

    Args:
        references: True labels, shape ``(num_rows, num_labels)``, 0 or 1 as int, bool or float; a
            row that is ``-100`` throughout is unlabelled. A row of zeros is labelled: no label
            applies.
        predictions: Predicted labels, same shape, 0 or 1.
        num_labels: Number of columns.

    Returns:
        ``(references, predictions)`` of the labelled rows, int64, ``(num_labelled, num_labels)``.

    Raises:
        DataError: A shape is wrong, a value is not 0 or 1, a row is only partly ``-100``, or no
            row has labels.
    """
    true_sets = _numeric_array(references, name="references")
    predicted_sets = _numeric_array(predictions, name="predictions")
    _check_same_shape(true_sets, predicted_sets)
    if not true_sets.size:
        _check_any_labelled(np.zeros(0, dtype=bool))
    if true_sets.ndim != 2 or true_sets.shape[1] != num_labels:
        raise DataError(
            f"multi-hot arrays must have shape (num_rows, {num_labels}), one column per label; "
            f"got {true_sets.shape}"
        )
    has_label = ~(true_sets == IGNORE_INDEX).all(axis=1)
    _check_any_labelled(has_label)
    true_sets, predicted_sets = true_sets[has_label], predicted_sets[has_label]
    _check_binary(true_sets, name="references")
    _check_binary(predicted_sets, name="predictions")
    return true_sets.astype(np.int64), predicted_sets.astype(np.int64)


def _numeric_array(values: npt.ArrayLike, *, name: str) -> npt.NDArray[np.generic]:
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise DataError(f"{name} must be an array; its rows differ in length ({error})") from error
    if array.dtype.kind not in "biuf":
        raise DataError(
            f"{name} must hold numbers; got an array of type {array.dtype}; "
            "turn label names into ids first"
        )
    return array


def _id_array(values: npt.ArrayLike, *, name: str) -> IntArray:
    array = _numeric_array(values, name=name)
    if array.ndim != 1:
        raise DataError(
            f"{name} must be label ids of shape (num_rows,); got shape {array.shape}; "
            "take logits.argmax(-1) of logits, and use multi_label_scores for multi-hot labels"
        )
    if array.size and array.dtype.kind == "f":
        raise DataError(
            f"{name} must be integer label ids; got type {array.dtype}, "
            f"the first value being {array[0]!s}; convert with .astype(int) if these are ids"
        )
    # int64 before any arithmetic: ids of type uint8 would silently overflow.
    return array.astype(np.int64)


def _check_same_shape(
    references: npt.NDArray[np.generic], predictions: npt.NDArray[np.generic]
) -> None:
    if references.shape != predictions.shape:
        raise DataError(
            "references and predictions must have one shape; "
            f"got {references.shape} and {predictions.shape}; check that no row was dropped"
        )


def _check_any_labelled(has_label: npt.NDArray[np.bool_]) -> None:
    if not has_label.any():
        raise DataError(
            f"there is nothing to score: none of {has_label.size} rows has a label; "
            "give a labelled evaluation set"
        )


def _check_range(ids: IntArray, *, name: str, num_labels: int | None) -> None:
    upper = np.inf if num_labels is None else num_labels
    outside = np.unique(ids[(ids < 0) | (ids >= upper)])
    if outside.size:
        limit = "0 or more" if num_labels is None else f"0 to {num_labels - 1}"
        missing = f" ({IGNORE_INDEX} = no label)" if name == "references" else ""
        raise DataError(
            f"{name} must hold label ids from {limit}{missing}; got {outside[:5].tolist()}; "
            "check that model and data share one label space"
        )


def _check_binary(values: npt.NDArray[np.generic], *, name: str) -> None:
    other = np.unique(values[(values != 0) & (values != 1)])
    if other.size:
        missing = ", or -100 in a whole row without labels" if name == "references" else ""
        raise DataError(
            f"{name} must hold 0 or 1{missing}; got {other[:5].tolist()}; "
            "threshold probabilities first, for example (probs >= 0.5)"
        )


def gives_one_label(probs: npt.NDArray) -> bool:
    """Whether these are single-label probabilities: shape ``(rows, num_labels)``, sum 1."""
    return probs.ndim == 2 and np.allclose(probs.sum(axis=1), 1.0, atol=1e-2)
