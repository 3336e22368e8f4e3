"""Estimates of accuracy in a language without labels.

Nothing here reads a target label. Confidences are compared between languages, so pass probabilities
that were calibrated on the source (``calibration.py``). The estimates are for single-label tasks.
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
    "difference_of_confidences",
    "estimate_accuracy",
]

Floats = NDArray[np.float64]


class AccuracyEstimate(NamedTuple):
    """Estimates of the accuracy on unlabelled target rows.

    Attributes:
        accuracy: The agreement if there is one, else the difference of confidences. Its interval
            combines, in quadrature, the bootstrap over the rows of both sets with an allowance for
            the method's own error between two languages, since confidences do not reveal a model
            that is wrong and sure of it.
        atc: Average thresholded confidence, with the bootstrap interval only.
        doc: Difference of confidences, with the bootstrap interval only.
        source_accuracy: Accuracy on the labelled source rows.
        agreement: Share of the target rows on which a second view agrees; None without one.
    """

    accuracy: Interval
    atc: Interval
    doc: Interval
    source_accuracy: Interval
    agreement: Interval | None = None


def average_thresholded_confidence(
    source_probs: ArrayLike, source_references: ArrayLike, target_probs: ArrayLike
) -> float:
    r"""Average thresholded confidence (Garg et al. 2022).

    The threshold *t* is such that as many source rows are below it as there are source errors; the
    estimate is the share of target rows that are not below it,

    .. math:: \frac{1}{n_s} \sum_i [s(x_i) < t] = \frac{1}{n_s} \sum_i [\hat y_i \ne y_i], \quad
        \hat a_t = \frac{1}{n_t} \sum_j [s(x_j) \ge t], \quad s(x) = \sum_c p_c \log p_c

    Args:
        source_probs: Calibrated probabilities of labelled source rows that were not trained on,
            shape ``(rows, num_labels)``.
        source_references: Their label ids; rows with a negative id are left out.
        target_probs: Calibrated probabilities of target rows.

    Raises:
        DataError: Shapes that do not match, no rows, or values that are not probabilities.
    """
    source = _source_rows(source_probs, source_references)
    return _thresholded(source, _target_rows(target_probs, source.num_labels))


def difference_of_confidences(
    source_probs: ArrayLike, source_references: ArrayLike, target_probs: ArrayLike
) -> float:
    r"""Difference of confidences (Guillory et al. 2021): the accuracy falls as the confidence does.

    .. math:: \hat a_t = a_s - \Big(\frac{1}{n_s} \sum_i \max_c p_c(x_i)
        - \frac{1}{n_t} \sum_j \max_c p_c(x_j)\Big)

    clipped to 0..1. The arguments are those of :func:`average_thresholded_confidence`.
    """
    source = _source_rows(source_probs, source_references)
    return _difference(source, _target_rows(target_probs, source.num_labels))


def accuracy_under_prior(
    references: ArrayLike, predictions: ArrayLike, *, prior: ArrayLike
) -> float:
    r"""The source accuracy under a different distribution of the classes.

    .. math:: \sum_c q_c \, \mathrm{recall}_c

    This is the correct estimate for the target if only the distribution of the classes differs. In
    another language it is an optimistic one, and shows how much of a loss is due to the classes.

    Args:
        references: Source label ids, shape ``(rows,)``.
        predictions: Predicted label ids of the same rows.
        prior: Shares of the classes in the target, shape ``(num_labels,)``; those of classes
            without a source row are spread over the others.

    Raises:
        DataError: Shapes that do not match, or no row of any class with a share.
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
    """Estimate the accuracy on target rows without labels.

    Args:
        source_probs: Calibrated probabilities of labelled source rows that were not trained on,
            shape ``(rows, num_labels)``.
        source_references: Their label ids; rows with a negative id are left out.
        target_probs: Calibrated probabilities of target rows; the more rows, the better.
        agreement: Whether a second view of each target row gives it the same label, shape
            ``(rows,)``; two views with independent errors disagree about as often as one of them
            errs (``ngram_agreement``, Jiang et al. 2022).
        method_error: Standard error of the method beyond that of the rows. The default is the root
            mean square error measured from English to Chinese (embedded encoder, 5 seeds): 8 points
            for the agreement (five domains of reviews), 10 for confidences (the same and topics).
        num_resamples: Bootstrap resamples of the rows of both sets.
        confidence: Share of the resampled estimates that lie inside an interval.
        seed: The same seed gives the same bounds.

    Raises:
        DataError: As for :func:`average_thresholded_confidence`, or another number of agreements.
        ConfigError: ``method_error``, ``num_resamples`` or ``confidence`` out of range.
    """
    if method_error is None:
        method_error = 0.1 if agreement is None else 0.08
    if num_resamples < 1 or method_error < 0:
        raise ConfigError(
            "expected num_resamples of 1 or more (1000 is usual) and a method_error of 0 or more; "
            f"got {num_resamples} and {method_error}"
        )
    source = _source_rows(source_probs, source_references)
    target = _target_rows(target_probs, source.num_labels, agreement)
    generator = np.random.default_rng(seed)
    resampled = [
        _estimates(source.resample(generator), target.resample(generator))
        for _ in range(num_resamples)
    ]
    intervals = {
        name: BootstrapScore(value, np.array([one[name] for one in resampled])).interval(
            confidence=confidence
        )
        for name, value in _estimates(source, target).items()
    }
    chosen = intervals.get("agreement", intervals["doc"])
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * method_error
    return AccuracyEstimate(
        _widened(chosen, reach), intervals["atc"], intervals["doc"], intervals["source"],
        intervals.get("agreement"),
    )  # fmt: skip


class _SourceRows(NamedTuple):
    negative_entropy: Floats
    confidence: Floats
    is_right: NDArray[np.bool_]
    num_labels: int

    def resample(self, generator: np.random.Generator) -> _SourceRows:
        rows = generator.integers(len(self.is_right), size=len(self.is_right))
        return self._replace(
            negative_entropy=self.negative_entropy[rows],
            confidence=self.confidence[rows],
            is_right=self.is_right[rows],
        )


class _TargetRows(NamedTuple):
    negative_entropy: Floats
    confidence: Floats
    agrees: Floats | None

    def resample(self, generator: np.random.Generator) -> _TargetRows:
        rows = generator.integers(len(self.confidence), size=len(self.confidence))
        agrees = None if self.agrees is None else self.agrees[rows]
        return _TargetRows(self.negative_entropy[rows], self.confidence[rows], agrees)


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


def _target_rows(
    probs: ArrayLike, num_labels: int, agreement: ArrayLike | None = None
) -> _TargetRows:
    array = _checked(probs, "target", width=num_labels)
    agrees = None if agreement is None else np.asarray(agreement, dtype=float)
    if agrees is not None and agrees.shape != array.shape[:1]:
        raise DataError(
            f"expected one agreement for each of {len(array)} target rows; got shape {agrees.shape}"
        )
    return _TargetRows(_negative_entropy(array), array.max(axis=1), agrees)


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


def _estimates(source: _SourceRows, target: _TargetRows) -> dict[str, float]:
    found = {
        "atc": _thresholded(source, target),
        "doc": _difference(source, target),
        "source": float(source.is_right.mean()),
    }
    return found if target.agrees is None else found | {"agreement": float(target.agrees.mean())}


def _thresholded(source: _SourceRows, target: _TargetRows) -> float:
    num_errors = int((~source.is_right).sum())
    if num_errors == len(source.is_right):
        return 0.0
    # As many source rows are below the threshold as there are errors.
    threshold = np.partition(source.negative_entropy, num_errors)[num_errors]
    return float((target.negative_entropy >= threshold).mean())


def _difference(source: _SourceRows, target: _TargetRows) -> float:
    drop = source.confidence.mean() - target.confidence.mean()
    return float(np.clip(source.is_right.mean() - drop, 0, 1))


def _widened(interval: Interval, reach: float) -> Interval:
    """Add the reach of another error to both sides of an interval, in quadrature, within 0..1."""
    value, low, high = interval
    return Interval(
        value,
        max(0.0, value - float(np.hypot(value - low, reach))),
        min(1.0, value + float(np.hypot(high - value, reach))),
    )
