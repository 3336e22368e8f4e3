"""A teacher's predictions as training data: soft labels, and the choice of rows to trust."""

from __future__ import annotations

import numpy as np
from datasets import Dataset
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax

from xlingual.errors import DataError
from xlingual.labels import LabelSpace

__all__ = [
    "choose_by_margin",
    "choose_confident",
    "class_change",
    "predicted_prior",
    "with_soft_labels",
]


def with_soft_labels(dataset: Dataset, probs: NDArray, *, label_space: LabelSpace) -> Dataset:
    """Add a teacher's probabilities to rows, by label name; labels that they had are dropped.

    Args:
        dataset: The rows.
        probs: Shape ``(rows, num_labels)``, columns in the order of ``label_space``.
        label_space: The teacher's labels; a student with another label order matches them by name.

    Raises:
        DataError: The numbers of rows differ, or probabilities are not finite.
    """
    if len(probs) != len(dataset) or not np.isfinite(probs).all():
        raise DataError(
            f"expected one finite row of probabilities for each of the {len(dataset)} rows; "
            f"got {probs.shape}, {int((~np.isfinite(probs)).sum())} of them not finite"
        )
    taken = {"label", "labels", "soft_labels"} & set(dataset.column_names)
    rows = [dict(zip(label_space.names, map(float, row), strict=True)) for row in probs]
    return dataset.remove_columns(sorted(taken)).add_column("soft_labels", rows)


def predicted_prior(probs: NDArray, *, smoothing: float = 0.1) -> NDArray:
    r"""The share of each class among the rows, from their mean probabilities.

    .. math:: \pi = (1 - s)\, \bar p + s / C

    Smoothing keeps a class that the teacher hardly predicts from vanishing round by round.
    """
    mean = np.asarray(probs, dtype=float).mean(axis=0)
    return (1 - smoothing) * mean + smoothing / len(mean)


def choose_confident(
    probs: NDArray, *, share: float, threshold: float, prior: NDArray
) -> NDArray[np.int64]:
    """The most confident rows of each predicted class, as many as its prior says.

    Choosing by confidence alone favours the easy classes, and the student forgets the others (Zou
    et al. 2018, class-balanced self-training).

    Args:
        probs: Calibrated probabilities, shape ``(rows, num_labels)``.
        share: Share of all rows to choose.
        threshold: A row below this confidence is never chosen.
        prior: Share of each class among the chosen rows, shape ``(num_labels,)``.

    Returns:
        Row numbers in ascending order.
    """
    probs = np.asarray(probs)
    predicted, confidence = probs.argmax(axis=1), probs.max(axis=1)
    chosen: list[int] = []
    for label, part in enumerate(prior):
        rows = np.flatnonzero((predicted == label) & (confidence >= threshold))
        best = rows[np.argsort(-confidence[rows], kind="stable")]
        chosen += best[: max(1, round(share * len(probs) * part))].tolist()
    return np.array(sorted(chosen), dtype=np.int64)


def choose_by_margin(
    logits: ArrayLike, *, share: float, prior: NDArray
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    r"""The rows with the largest margin for each class, a row for one class only, and their labels.

    The margin of a row for a class is :math:`\log p_c - \max_{c' \ne c} \log p_{c'}`. A class gets
    its quota even of rows for which another class is more probable: the prior is trusted more than
    the model's bias.

    Args:
        logits: Or log-probabilities, shape ``(rows, num_labels)``.
        share: Share of all rows to choose.
        prior: Share of each class among the chosen rows, shape ``(num_labels,)``.

    Returns:
        Row numbers in ascending order, and their label ids.
    """
    log_probs = log_softmax(np.asarray(logits, dtype=float), axis=1)
    taken: dict[int, tuple[float, int]] = {}
    for label, part in enumerate(prior):
        margins = log_probs[:, label] - np.delete(log_probs, label, axis=1).max(axis=1)
        quota = max(2, round(share * part * len(log_probs)))
        for row in np.argsort(-margins, kind="stable")[:quota].tolist():
            if row not in taken or margins[row] > taken[row][0]:
                taken[row] = margins[row], label
    chosen = np.array(sorted(taken), dtype=np.int64)
    return chosen, np.array([taken[row][1] for row in chosen.tolist()], dtype=np.int64)


def class_change(before: NDArray, after: NDArray, *, num_labels: int) -> tuple[float, float]:
    """Compare two sets of predictions of the same rows, to detect collapse.

    Args:
        before: Label ids, shape ``(rows,)``; or yes and no for each label, ``(rows, num_labels)``.
        after: The same of the other model.
        num_labels: Number of labels.

    Returns:
        The largest change of a class's share of the rows, and the share of predictions that agree.
    """
    shift = float(np.abs(_shares(after, num_labels) - _shares(before, num_labels)).max())
    return shift, float((before == after).mean())


def _shares(predictions: NDArray, num_labels: int) -> NDArray:
    """The share of rows that each label is predicted for."""
    if predictions.ndim > 1:
        return np.asarray(predictions.mean(axis=0))
    return np.bincount(predictions, minlength=num_labels) / len(predictions)
