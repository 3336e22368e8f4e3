"""Feature transfer: linear classifiers on precomputed features, trained in seconds."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xlingual.config.methods.frozen_features import FROZEN_CLASSIFIERS
from xlingual.errors import ConfigError, DataError

__all__ = ["LinearMap", "choose_gate", "fit_linear", "fuse_features"]

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]
_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)  # C of scikit-learn on standardised features: strong to weak
_GATES = (0.0, 0.25, 0.5, 0.75, 1.0)
_TINY = 1e-6


class LinearMap(NamedTuple):
    r"""Logits :math:`W f + b` of raw features; standardisation and PCA are folded in.

    Attributes:
        weight: Shape ``(num_labels, hidden)``.
        bias: Shape ``(num_labels,)``.
    """

    weight: Floats
    bias: Floats

    def __call__(self, features: ArrayLike) -> Floats:
        """Logits, shape ``(rows, num_labels)``."""
        return np.asarray(features, dtype=float) @ self.weight.T + self.bias


def fit_linear(
    features: ArrayLike,
    labels: ArrayLike,
    *,
    num_labels: int,
    classifier: str = "logistic_regression",
    strength: float | None = None,
    num_components: int = 64,
    feature_scales: ArrayLike | None = None,
    seed: int = 0,
) -> LinearMap:
    r"""Fit a linear classifier on standardised features, and fold everything into one map.

    With mean *m* and deviation *s* of the features, components *V* (identity without PCA) and the
    fitted :math:`A z + a` on :math:`z = V (f - m) / s`,

    .. math:: W = A V \,\mathrm{diag}(1 / s), \quad b = a - W m

    Args:
        features: Shape ``(rows, hidden)``.
        labels: Label ids, shape ``(rows,)``; every label needs a row.
        num_labels: Rows of the map.
        classifier: ``"logistic_regression"``; ``"lda"``, its covariance shrunk by the formula of
            Ledoit and Wolf (2004); ``"pca"``, logistic regression on ``num_components`` principal
            components; or ``"nearest_centroid"``, whose logits are
            :math:`-\lVert z - c \rVert^2 / 2 \sigma^2` up to a constant.
        strength: Inverse of the L2 penalty of logistic regression (scikit-learn's *C*); None
            chooses among 1e-4 .. 1e-1 by cross-validation over these rows.
        num_components: Number of PCA components; fewer if there are fewer rows or features.
        feature_scales: Factors on the standardised features, shape ``(hidden,)``, from
            :func:`choose_gate`: a penalised classifier makes little use of a feature with a small
            factor.
        seed: Seed of the folds and of PCA.

    Raises:
        ConfigError: An unknown ``classifier``, or a ``strength`` or ``num_components`` out of
            range.
        DataError: Shapes that do not match, values that are not finite, or a label without a row.
    """
    if classifier not in FROZEN_CLASSIFIERS:
        raise ConfigError(f"--classifier takes {', '.join(FROZEN_CLASSIFIERS)}; got {classifier!r}")
    if num_components < 1 or (strength is not None and strength <= 0):
        raise ConfigError(
            "expected num_components of at least 1 and a strength above 0; got "
            f"{num_components} and {strength}"
        )
    raw, ids = _checked(features, labels, num_labels)
    mean = raw.mean(axis=0)
    deviation = raw.std(axis=0)
    scale = np.where(deviation > _TINY, 1 / np.maximum(deviation, _TINY), 0.0)  # 0: constant
    scale = scale if feature_scales is None else scale * np.asarray(feature_scales, dtype=float)
    rows = (raw - mean) * scale
    components: Floats | None = None
    if classifier == "pca":
        components = _components(rows, num_components, seed)
        rows = rows @ components.T
    if classifier == "lda":
        weight, bias = _fit_lda(rows, ids)
    elif classifier == "nearest_centroid":
        weight, bias = _fit_centroids(rows, ids, num_labels)
    else:
        weight, bias = _fit_logistic(rows, ids, strength, seed)
    if components is not None:
        weight = weight @ components
    weight = weight * scale
    return LinearMap(weight, bias - weight @ mean)


def _checked(
    features: ArrayLike, labels: ArrayLike, num_labels: int
) -> tuple[Floats, NDArray[np.int64]]:
    raw, ids = np.asarray(features, dtype=float), np.asarray(labels)
    if raw.ndim != 2 or ids.shape != raw.shape[:1] or not np.isfinite(raw).all():
        raise DataError(
            "expected finite features (rows, hidden) and one label id per row; got "
            f"{raw.shape} and {ids.shape}"
        )
    found = np.unique(ids)
    if num_labels < 2 or found.tolist() != list(range(num_labels)):
        raise DataError(
            f"expected rows of every label from 0 to {num_labels - 1}, of two labels or more; got "
            f"rows of {found.tolist()}"
        )
    return raw, ids.astype(np.int64)


def _components(rows: Floats, num_components: int, seed: int) -> Floats:
    from sklearn.decomposition import PCA

    size = min(num_components, *rows.shape)
    return PCA(size, svd_solver="full", random_state=seed).fit(rows).components_


def _logistic(strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=1000)


def _accuracy_of(rows: Floats, ids: NDArray[np.int64], strength: float, seed: int) -> float:
    """Cross-validated accuracy; NaN if a label has too few rows."""
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    num_folds = min(3, int(np.bincount(ids).min()))
    if num_folds < 2:
        return float("nan")
    folds = StratifiedKFold(num_folds, shuffle=True, random_state=seed)
    return float(cross_val_score(_logistic(strength), rows, ids, cv=folds).mean())


def _fit_logistic(
    rows: Floats, ids: NDArray[np.int64], strength: float | None, seed: int
) -> tuple[Floats, Floats]:
    if strength is None:
        scores = [_accuracy_of(rows, ids, candidate, seed) for candidate in _STRENGTHS]
        # A tie goes to the stronger penalty: it keeps more of what the two languages share.
        strength = 1e-2 if np.isnan(scores).any() else _STRENGTHS[int(np.argmax(scores))]
        logger.info("logistic regression: C=%g by cross-validation on the source", strength)
    return _both_rows(_logistic(strength).fit(rows, ids))


def _fit_lda(rows: Floats, ids: NDArray[np.int64]) -> tuple[Floats, Floats]:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    return _both_rows(LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(rows, ids))


def _fit_centroids(rows: Floats, ids: NDArray[np.int64], num_labels: int) -> tuple[Floats, Floats]:
    centroids = np.stack([rows[ids == label].mean(axis=0) for label in range(num_labels)])
    # The variance is summed over the features, not averaged: they are correlated, and treating
    # them as independent would make every prediction near certain.
    variance = max(((rows - centroids[ids]) ** 2).sum(axis=1).mean(), _TINY)
    return centroids / variance, -(centroids**2).sum(axis=1) / (2 * variance)


def _both_rows(fitted: Any) -> tuple[Floats, Floats]:
    """Split scikit-learn's one row for two classes; softmax over both halves is its sigmoid."""
    weight, bias = fitted.coef_, fitted.intercept_
    if len(weight) > 1:
        return weight, bias
    return np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2


def fuse_features(blocks: Sequence[ArrayLike]) -> Floats:
    """Concatenate the features of several encoders.

    Args:
        blocks: Features of the same rows, each ``(rows, hidden_k)``.

    Returns:
        Shape ``(rows, sum of hidden_k)``.

    Raises:
        DataError: No blocks, or different numbers of rows.
    """
    arrays = [np.asarray(block, dtype=float) for block in blocks]
    if not arrays or len({array.shape[:1] for array in arrays}) > 1:
        raise DataError(
            "expected features of the same rows from each encoder; got shapes "
            f"{[array.shape for array in arrays]}"
        )
    return np.concatenate(arrays, axis=1)


def choose_gate(
    blocks: Sequence[ArrayLike],
    labels: ArrayLike,
    *,
    num_labels: int,
    strength: float = 1e-2,
    seed: int = 0,
) -> Floats:
    r"""Weight the features of two encoders against each other, for :func:`fit_linear`.

    Standardised features of the first are multiplied by :math:`\sqrt{2 g}`, those of the second by
    :math:`\sqrt{2 (1 - g)}`; *g* is one of 0, 0.25, 0.5, 0.75 and 1, chosen by the cross-validated
    accuracy of logistic regression over these source rows; ties go to the value nearest 0.5. Source
    rows say nothing about the target: an encoder that knows only the source can win the gate and do
    badly on the target.

    Args:
        blocks: Features of the same rows from two encoders.
        labels: Label ids, shape ``(rows,)``.
        num_labels: Number of labels.
        strength: As in :func:`fit_linear`.
        seed: Seed of the folds.

    Returns:
        ``feature_scales``, shape ``(hidden_1 + hidden_2,)``.

    Raises:
        DataError: Not two blocks, or as for :func:`fit_linear`.
    """
    if len(blocks) != 2:
        raise DataError(f"a gate needs exactly two encoders; got features of {len(blocks)}")
    rows, ids = _checked(fuse_features(blocks), labels, num_labels)
    rows = (rows - rows.mean(axis=0)) / np.maximum(rows.std(axis=0), _TINY)
    widths = [np.asarray(block).shape[1] for block in blocks]
    best, best_score = np.ones(sum(widths)), -1.0
    for gate in sorted(_GATES, key=lambda gate: abs(gate - 0.5)):
        scales = np.repeat(np.sqrt([2 * gate, 2 * (1 - gate)]), widths)
        score = _accuracy_of(rows * scales, ids, strength, seed)
        logger.info("gate %.2f: %.3f on the source", gate, score)
        if score > best_score:
            best, best_score = scales, score
    return best
