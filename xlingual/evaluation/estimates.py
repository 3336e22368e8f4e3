"""How good a model is in a language of which no row is labelled: estimates, and a score to select.

Nothing here reads a target label. Confidences are compared between the languages, so give
probabilities that were calibrated on the source (``calibration.py``); the accuracies hold for
single-label tasks.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xlingual.errors import ConfigError, DataError
from xlingual.evaluation.intervals import BootstrapScore, Interval

__all__ = [
    "AccuracyEstimate",
    "accuracy_under_prior",
    "average_thresholded_confidence",
    "bitext_agreement",
    "difference_of_confidences",
    "estimate_accuracy",
]

Floats = NDArray[np.float64]


class AccuracyEstimate(NamedTuple):
    """The accuracy on target rows without labels, as it is estimated.

    Attributes:
        accuracy: The agreement where there is one, else the difference of confidences. Its interval
            holds what redrawing the rows of both sets explains and, in quadrature, an allowance for
            the method's own error between two languages: no confidence shows a model that is wrong
            and sure of it.
        atc: Average thresholded confidence; the interval is that of redrawing alone.
        doc: Difference of confidences; the interval is that of redrawing alone.
        source_accuracy: On the labelled source rows.
        agreement: Of the target rows with a second view of them; None where there is none.
    """

    accuracy: Interval
    atc: Interval
    doc: Interval
    source_accuracy: Interval
    agreement: Interval | None = None


def bitext_agreement(
    source_predictions: ArrayLike,
    target_predictions: ArrayLike,
    *,
    source_accuracy: float,
    num_labels: int,
    min_entropy: float = 0.5,
) -> float:
    r"""A score to choose between models: the two sides of held-out pairs should get one class.

    .. math:: a \cdot \frac{1}{n} \sum_i [\hat y_i^s = \hat y_i^t]
        \cdot \min\Big(1, \frac{H}{h \log C}\Big)

    with the source accuracy *a* and the entropy *H* of the classes predicted on the target side. A
    constant predictor agrees with itself everywhere; the last factor makes it score 0. It ranks
    models and says little of the accuracy itself.

    Args:
        source_predictions: Label ids of the source sides, shape ``(pairs,)``.
        target_predictions: Label ids of the target sides, in the same order.
        source_accuracy: On labelled source rows that were not trained on.
        num_labels: *C*.
        min_entropy: *h*: below this share of the largest entropy the score falls.

    Raises:
        DataError: No pairs, shapes that differ, or ids out of range.
        ConfigError: ``source_accuracy`` or ``min_entropy`` out of range.
    """
    source, target = np.asarray(source_predictions), np.asarray(target_predictions)
    if source.ndim != 1 or source.shape != target.shape or not len(source):
        raise DataError(
            "expected one predicted label id per side of at least one pair; got shapes "
            f"{source.shape} and {target.shape}"
        )
    both = np.concatenate([source, target])
    if num_labels < 2 or both.min() < 0 or both.max() >= num_labels:
        raise DataError(
            f"expected label ids from 0 to {num_labels - 1} of two labels or more; got "
            f"{both.min()} to {both.max()}"
        )
    if not (0 <= source_accuracy <= 1 and 0 < min_entropy <= 1):
        raise ConfigError(
            "expected a source_accuracy from 0 to 1 and a min_entropy above 0, up to 1; got "
            f"{source_accuracy} and {min_entropy}"
        )
    shares = np.bincount(target, minlength=num_labels) / len(target)
    entropy = -(shares[shares > 0] * np.log(shares[shares > 0])).sum()
    spread = min(1.0, entropy / (min_entropy * np.log(num_labels)))
    return float(source_accuracy * (source == target).mean() * spread)


def average_thresholded_confidence(
    source_probs: ArrayLike, source_references: ArrayLike, target_probs: ArrayLike
) -> float:
    r"""Average thresholded confidence (Garg et al. 2022).

    The threshold *t* leaves as many source rows below it as there are errors among them; the
    estimate is the share of target rows that are not below it,

    .. math:: \frac{1}{n_s} \sum_i [s(x_i) < t] = \frac{1}{n_s} \sum_i [\hat y_i \ne y_i], \quad
        \hat a_t = \frac{1}{n_t} \sum_j [s(x_j) \ge t], \quad s(x) = \sum_c p_c \log p_c

    Args:
        source_probs: Calibrated, of labelled source rows that were not trained on, shape
            ``(rows, num_labels)``.
        source_references: Their label ids; rows with a negative id are left out.
        target_probs: Calibrated, of target rows.

    Raises:
        DataError: Shapes that do not fit, no rows, or values that are no probabilities.
    """
    source = _source_rows(source_probs, source_references)
    target = _negative_entropy(_checked(target_probs, "target", width=source.width))
    return _thresholded(source.sureness, source.is_right, target)


def difference_of_confidences(
    source_probs: ArrayLike, source_references: ArrayLike, target_probs: ArrayLike
) -> float:
    r"""Difference of confidences (Guillory et al. 2021): the accuracy falls as the confidence does.

    .. math:: \hat a_t = a_s - \Big(\frac{1}{n_s} \sum_i \max_c p_c(x_i)
        - \frac{1}{n_t} \sum_j \max_c p_c(x_j)\Big)

    clipped to 0..1. The arguments are those of :func:`average_thresholded_confidence`.
    """
    source = _source_rows(source_probs, source_references)
    target = _checked(target_probs, "target", width=source.width).max(axis=1)
    drop = source.confidence.mean() - target.mean()
    return float(np.clip(source.is_right.mean() - drop, 0, 1))


def accuracy_under_prior(
    references: ArrayLike, predictions: ArrayLike, *, prior: ArrayLike
) -> float:
    r"""What the source accuracy would be if the classes had other shares.

    .. math:: \sum_c q_c \, \mathrm{recall}_c

    The right estimate for the target if the shares of the classes were all that differs; with
    another language it is an upper mark, and says how much of a loss is due to the shares.

    Args:
        references: Source label ids, shape ``(rows,)``.
        predictions: Predicted label ids of the same rows.
        prior: Shares of the classes in the target, shape ``(num_labels,)``; those of classes
            without a source row are spread over the others.

    Raises:
        DataError: Shapes that do not fit, or no row of any class with a share.
    """
    truth, predicted, shares = np.asarray(references), np.asarray(predictions), np.asarray(prior)
    if truth.ndim != 1 or truth.shape != predicted.shape or shares.ndim != 1:
        raise DataError(
            "expected label ids (rows,) twice and shares (num_labels,); got "
            f"{truth.shape}, {predicted.shape} and {shares.shape}"
        )
    known = np.array([(truth == label).any() for label in range(len(shares))])
    if not (shares[known] > 0).any():
        raise DataError(
            "no class with a share in the prior has a source row; expected at least one"
        )
    recalls = [(predicted[truth == label] == label).mean() for label in np.flatnonzero(known)]
    return float(np.average(recalls, weights=shares[known]))


def estimate_accuracy(
    source_probs: ArrayLike,
    source_references: ArrayLike,
    target_probs: ArrayLike,
    *,
    agreement: ArrayLike | None = None,
    method_error: float | None = None,
    num_resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> AccuracyEstimate:
    """Estimate the accuracy on target rows before any of them has a label.

    Args:
        source_probs: Calibrated, of labelled source rows that were not trained on, shape
            ``(rows, num_labels)``.
        source_references: Their label ids; rows with a negative id are left out.
        target_probs: Calibrated, of target rows, as many as there are.
        agreement: Whether a second view of each target row gives it the same label, shape
            ``(rows,)``; of two views that err apart, one errs about as often as they disagree
            (``ngram_agreement``, Jiang et al. 2022).
        method_error: Standard error of the method beyond that of the rows. The default is the root
            mean square error measured from English to Chinese (embedded encoder, 5 seeds): 8 points
            by agreement (five domains of reviews), 10 by confidences (the same, and topics).
        num_resamples: Redraws of the rows of both sets.
        confidence: Share of the redrawn estimates that lie inside an interval.
        seed: The same seed gives the same bounds.

    Raises:
        DataError: As for :func:`average_thresholded_confidence`, or another number of agreements.
        ConfigError: ``method_error``, ``num_resamples`` or ``confidence`` out of range.
    """
    agrees = None if agreement is None else np.asarray(agreement, dtype=float)
    if method_error is None:
        method_error = 0.1 if agrees is None else 0.08
    if num_resamples < 1 or method_error < 0:
        raise ConfigError(
            "expected num_resamples of 1 or more (1000 is usual) and a method_error of 0 or more; "
            f"got {num_resamples} and {method_error}"
        )
    source = _source_rows(source_probs, source_references)
    target = _checked(target_probs, "target", width=source.width)
    if agrees is not None and agrees.shape != target.shape[:1]:
        raise DataError(
            f"expected one agreement for each of {len(target)} target rows; got shape "
            f"{agrees.shape}"
        )
    sureness, confidences = _negative_entropy(target), target.max(axis=1)
    generator = np.random.default_rng(seed)
    redrawn: dict[str, list[float]] = {"atc": [], "doc": [], "source": [], "agreement": []}
    for _ in range(num_resamples):
        rows = generator.integers(len(source.is_right), size=len(source.is_right))
        others = generator.integers(len(target), size=len(target))
        right = source.is_right[rows]
        redrawn["atc"].append(_thresholded(source.sureness[rows], right, sureness[others]))
        drop = source.confidence[rows].mean() - confidences[others].mean()
        redrawn["doc"].append(float(np.clip(right.mean() - drop, 0, 1)))
        redrawn["source"].append(float(right.mean()))
        if agrees is not None:
            redrawn["agreement"].append(float(agrees[others].mean()))
    values = {
        "atc": _thresholded(source.sureness, source.is_right, sureness),
        "doc": difference_of_confidences(source_probs, source_references, target_probs),
        "source": float(source.is_right.mean()),
    }
    if agrees is not None:
        values["agreement"] = float(agrees.mean())
    intervals = {
        name: BootstrapScore(value, np.array(redrawn[name])).interval(confidence=confidence)
        for name, value in values.items()
    }
    found = intervals.get("agreement", intervals["doc"])
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * method_error
    together = Interval(
        found.value,
        max(0.0, found.value - float(np.hypot(found.value - found.low, reach))),
        min(1.0, found.value + float(np.hypot(found.high - found.value, reach))),
    )
    return AccuracyEstimate(
        together, intervals["atc"], intervals["doc"], intervals["source"],
        intervals.get("agreement"),
    )  # fmt: skip


class _SourceRows(NamedTuple):
    sureness: Floats
    confidence: Floats
    is_right: NDArray[np.bool_]
    width: int


def _source_rows(probs: ArrayLike, references: ArrayLike) -> _SourceRows:
    array, labels = _checked(probs, "source"), np.asarray(references)
    if labels.shape != array.shape[:1]:
        raise DataError(
            f"expected one label id for each of {len(array)} source rows; got shape {labels.shape}"
        )
    array, labels = array[labels >= 0], labels[labels >= 0]
    if not len(labels):
        raise DataError("no source row has a label; an estimate starts from the source accuracy")
    is_right = array.argmax(axis=1) == labels
    return _SourceRows(_negative_entropy(array), array.max(axis=1), is_right, array.shape[1])


def _checked(probs: ArrayLike, side: str, *, width: int | None = None) -> Floats:
    array = np.asarray(probs, dtype=float)
    if array.ndim != 2 or not len(array) or array.shape[1] != (width or array.shape[1]):
        raise DataError(
            f"{side} probabilities: expected shape (rows, {width or 'num_labels'}) with at least "
            f"one row; got {array.shape}"
        )
    if not np.allclose(array.sum(axis=1), 1, atol=1e-3) or (array < 0).any():
        raise DataError(
            f"{side} probabilities: expected rows that sum to 1, of a single-label task, and "
            "probabilities rather than logits"
        )
    return array


def _negative_entropy(probs: Floats) -> Floats:
    return (probs * np.log(np.clip(probs, 1e-12, None))).sum(axis=1)


def _thresholded(source: Floats, is_right: NDArray[np.bool_], target: Floats) -> float:
    num_errors = int((~is_right).sum())
    if num_errors == len(source):
        return 0.0
    threshold = np.partition(source, num_errors)[num_errors]  # so many source rows lie below it
    return float((target >= threshold).mean())
