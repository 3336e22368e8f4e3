r"""Calibration: temperature scaling and the expected calibration error.

A fine-tuned encoder is usually overconfident. Temperature scaling (Guo et al. 2017, "On Calibration
of Modern Neural Networks") divides the logits by one number, which changes the confidences but no
decision. Softmax ignores an additive constant, so log-probabilities can replace logits::

    q = softmax(log p / T)            single-label
    q = sigmoid(logit(p) / T)         multi-label

The temperature is fitted on source validation rows. Nothing guarantees that it suits the target as
well, so the error of every set is reported before and after scaling.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from xlingual.errors import DataError
from xlingual.evaluation.scores import FloatArray
from xlingual.tasks import IGNORE_INDEX

__all__ = [
    "Calibration",
    "apply_calibration",
    "expected_calibration_error",
    "fit_calibration_temperature",
]

logger = logging.getLogger(__name__)

MIN_ROWS = 20
"""With fewer labelled rows a temperature says more about the rows than about the model."""

_LOWEST, _HIGHEST = 0.2, 10.0
# float32 probabilities round to 0 and 1, of which the logarithm and the logit are infinite.
_SMALLEST, _NEAREST_TO_ONE = 1e-30, 1e-7


@dataclass(frozen=True)
class Calibration:
    """A fitted temperature and where it comes from.

    Attributes:
        calibration_temperature: T; above 1 the model was overconfident, below 1 underconfident.
        fitted_on: Names of the sets.
        num_rows: Labelled rows it was fitted on.
    """

    calibration_temperature: float
    fitted_on: str
    num_rows: int

    def to_dict(self) -> dict[str, Any]:
        """The content of ``calibration.json``."""
        return {
            "calibration_temperature": self.calibration_temperature,
            "fitted_on": self.fitted_on,
            "num_rows": self.num_rows,
        }


def fit_calibration_temperature(
    probabilities: npt.ArrayLike, references: npt.ArrayLike, *, multi_label: bool = False
) -> float:
    r"""The temperature with the least negative log-likelihood of the references.

    .. math:: T^* = \arg\min_T -\frac{1}{N} \sum_i \log \mathrm{softmax}(\log p_i / T)_{y_i}

    The loss is convex in 1/T, so a bounded search over log T finds its only minimum.

    Args:
        probabilities: Softmax (``multi_label``: sigmoid) outputs.
        references: Label ids, or 0/1 per label; rows with ``-100`` are left out.
        multi_label: Whether a row may have several labels.

    Shape:
        probabilities (rows, labels); references (rows,), multi-label (rows, labels).

    Returns:
        T between 0.2 and 10, because rows that are all correct would drive it to 0. It is 1, with a
        warning, if fewer than 20 rows have a label.

    Raises:
        DataError: The shapes do not match, or the values are not probabilities.
    """
    from scipy.optimize import minimize_scalar

    probs, labels = _labelled(probabilities, references, multi_label=multi_label)
    if len(labels) < MIN_ROWS:
        logger.warning(
            "a calibration temperature needs at least %d labelled rows; there are %d: confidences "
            "stay as they are (temperature 1)",
            MIN_ROWS,
            len(labels),
        )
        return 1.0

    def loss(log_temperature: float) -> float:
        scaled = _scale(probs, float(np.exp(log_temperature)), multi_label=multi_label)
        if multi_label:
            chosen = np.where(labels == 1, scaled, 1 - scaled)
        else:
            chosen = scaled[np.arange(len(labels)), labels]
        return float(-np.log(np.maximum(chosen, 1e-300)).mean())

    bounds = (np.log(_LOWEST), np.log(_HIGHEST))
    found: Any = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-5})
    return float(np.clip(np.exp(found.x), _LOWEST, _HIGHEST))


def apply_calibration(
    probabilities: npt.ArrayLike, calibration_temperature: float, *, multi_label: bool = False
) -> FloatArray:
    """Rescale probabilities as if the logits were divided by a temperature.

    Args:
        probabilities: Softmax (``multi_label``: sigmoid) outputs, shape (rows, labels).
        calibration_temperature: T, above 0.
        multi_label: Whether a row may have several labels.

    Raises:
        DataError: T is not above 0, or the values are not probabilities.
    """
    if not calibration_temperature > 0:
        raise DataError(
            f"calibration_temperature must be above 0; got {calibration_temperature}; 1 changes "
            "nothing"
        )
    return _scale(_probabilities(probabilities), calibration_temperature, multi_label=multi_label)


def expected_calibration_error(
    probabilities: npt.ArrayLike,
    references: npt.ArrayLike,
    *,
    multi_label: bool = False,
    num_bins: int = 15,
) -> float:
    r"""The mean distance between confidence and accuracy over bins of equal width.

    .. math:: ECE = \sum_b \frac{n_b}{N} |acc_b - conf_b|

    Confidence is the probability of the predicted label; in multi-label tasks every label counts
    as a separate decision with confidence max(p, 1 - p). Bins are open on the left.

    Args:
        probabilities: Softmax or sigmoid outputs, shape (rows, labels).
        references: As for :func:`fit_calibration_temperature`.
        multi_label: Whether a row may have several labels.
        num_bins: Number of bins between 0 and 1.

    Returns:
        A share between 0 and 1; NaN if no row has a label.
    """
    probs, labels = _labelled(probabilities, references, multi_label=multi_label)
    if not len(labels):
        return float("nan")
    if multi_label:
        confidence = np.maximum(probs, 1 - probs).ravel()
        right = ((probs > 0.5) == (labels == 1)).ravel()
    else:
        confidence, right = probs.max(axis=1), probs.argmax(axis=1) == labels
    edges = np.linspace(0, 1, num_bins + 1)
    bins = np.clip(np.digitize(confidence, edges[1:-1], right=True), 0, num_bins - 1)
    # |sum of hits - sum of confidences| is the bin's size times the distance of its means.
    distance = np.bincount(bins, weights=right.astype(float) - confidence, minlength=num_bins)
    return float(np.abs(distance).sum() / len(confidence))


def _scale(probs: FloatArray, temperature: float, *, multi_label: bool) -> FloatArray:
    from scipy.special import expit, logit, softmax

    if multi_label:
        clipped = np.clip(probs, _SMALLEST, 1 - _NEAREST_TO_ONE)
        return np.asarray(expit(logit(clipped) / temperature))
    return np.asarray(softmax(np.log(np.maximum(probs, _SMALLEST)) / temperature, axis=1))


def _probabilities(values: npt.ArrayLike) -> FloatArray:
    probs = np.asarray(values, dtype=np.float64)
    if probs.ndim != 2 or not ((probs >= 0) & (probs <= 1 + 1e-6)).all():
        raise DataError(
            "expected probabilities between 0 and 1 of shape (rows, labels); got shape "
            f"{probs.shape}; pass softmax or sigmoid outputs, not logits"
        )
    return probs


def _labelled(
    probabilities: npt.ArrayLike, references: npt.ArrayLike, *, multi_label: bool
) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    probs, labels = _probabilities(probabilities), np.asarray(references)
    wanted = probs.shape if multi_label else probs.shape[:1]
    if labels.shape != wanted:
        raise DataError(
            f"expected references of shape {wanted} for probabilities of shape {probs.shape}; "
            f"got {labels.shape}"
        )
    known = labels != IGNORE_INDEX
    keep = known.all(axis=1) if multi_label else known
    kept = labels[keep].astype(np.int64)
    if kept.size and (kept.min() < 0 or kept.max() >= (2 if multi_label else probs.shape[1])):
        raise DataError(
            f"references must be label ids below {2 if multi_label else probs.shape[1]}; got "
            f"{int(kept.min())} to {int(kept.max())}"
        )
    return probs[keep], kept
