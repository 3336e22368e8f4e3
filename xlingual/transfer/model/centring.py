"""Per-language centring: subtract the offset between target and source features."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xlingual.errors import DataError

__all__ = ["centring_shift", "language_offset"]

Floats = NDArray[np.float64]


def language_offset(
    source_features: ArrayLike,
    target_features: ArrayLike,
    *,
    source_probs: ArrayLike | None = None,
    target_probs: ArrayLike | None = None,
) -> Floats:
    r"""The mean feature of target text minus that of source text (Libovický et al. 2020).

    .. math:: o = \mu_t - \mu_s

    If the class shares of the two sides differ, part of this difference is due to the classes and
    not to the language. Given the probabilities of both sides, the means are taken class by class,
    and every class has the same weight,

    .. math:: o = \frac{1}{C} \sum_c (\mu_t^c - \mu_s^c), \quad
        \mu^c = \frac{\sum_i p_i(c) f_i}{\sum_i p_i(c)}

    Pass *predicted* probabilities for both sides: with labels on one side and predictions on the
    other, prediction errors would look like a difference between the languages.

    Args:
        source_features: Inputs of the output layer for source rows, shape ``(rows, hidden)``.
        target_features: The same for unlabelled target rows.
        source_probs: Shape ``(rows, num_labels)``; with ``target_probs``, or neither.
        target_probs: Shape ``(rows, num_labels)``.

    Returns:
        Shape ``(hidden,)``; zero for identical inputs.

    Raises:
        DataError: Shapes that do not match, no rows, or values that are not finite.
    """
    source, target = (
        np.asarray(features, dtype=float) for features in (source_features, target_features)
    )
    if source.ndim != 2 or target.ndim != 2 or source.shape[1] != target.shape[1]:
        raise DataError(
            "expected features (rows, hidden) of one width on both sides; got "
            f"{source.shape} and {target.shape}"
        )
    if not (
        len(source) and len(target) and np.isfinite(source).all() and np.isfinite(target).all()
    ):
        raise DataError(
            f"expected finite features of at least one row on both sides; got {len(source)} and "
            f"{len(target)} rows, or values that are not finite"
        )
    if (source_probs is None) != (target_probs is None):
        raise DataError("expected probabilities for both sides or for neither; got one side only")
    if source_probs is None or target_probs is None:
        return target.mean(axis=0) - source.mean(axis=0)
    means = [_class_means(source, source_probs), _class_means(target, target_probs)]
    if means[0].shape != means[1].shape:
        raise DataError("expected the probabilities of both sides to have the same labels")
    return (means[1] - means[0]).mean(axis=0)


def _class_means(features: Floats, probs: ArrayLike) -> Floats:
    """Shape ``(num_labels, hidden)``; a class without mass has the mean of all rows."""
    weights = np.asarray(probs, dtype=float)
    if weights.ndim != 2 or len(weights) != len(features):
        raise DataError(
            f"expected one row of probabilities for each of {len(features)} rows of features; "
            f"got shape {weights.shape}"
        )
    # One row's worth of the overall mean keeps that of a rarely predicted class from being noise.
    sums = weights.T @ features + features.mean(axis=0)
    return sums / (weights.sum(axis=0)[:, None] + 1)


def centring_shift(weight: ArrayLike, offset: ArrayLike) -> Floats:
    r"""Centring as a shift of the logits, since the output layer is linear.

    .. math:: W (f - o) + b = W f + (b - W o)

    ``shift_output_bias(model, centring_shift(weight, offset))`` makes it part of a model for the
    target; source rows must not be shifted.

    Args:
        weight: Weight of the output layer, shape ``(num_labels, hidden)``.
        offset: From :func:`language_offset`, shape ``(hidden,)``.

    Returns:
        :math:`-W o`, shape ``(num_labels,)``.

    Raises:
        DataError: The widths differ.
    """
    matrix, vector = np.asarray(weight, dtype=float), np.asarray(offset, dtype=float)
    if matrix.ndim != 2 or vector.shape != matrix.shape[1:]:
        raise DataError(
            f"expected a weight (num_labels, hidden) and an offset (hidden,); got {matrix.shape} "
            f"and {vector.shape}"
        )
    return -(matrix @ vector)
