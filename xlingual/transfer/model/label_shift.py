"""Label shift: the class shares of the target text differ from those of the source rows."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from datasets import Dataset
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from xlingual.errors import ConfigError, DataError
from xlingual.transfer.data.ngram_view import ngram_gain

__all__ = ["LABEL_SHIFT_METHODS", "BiasCorrection", "LabelShift", "correct_label_shift"]

logger = logging.getLogger(__name__)

LABEL_SHIFT_METHODS = ("em", "bbse")

Floats = NDArray[np.float64]
_TINY = 1e-12


class BiasCorrection(NamedTuple):
    r"""Bias-corrected temperature scaling, :math:`\mathrm{softmax}(\log p / T + b)`.

    Attributes:
        calibration_temperature: *T*.
        bias: *b*, shape ``(num_labels,)``, with mean zero.
    """

    calibration_temperature: float
    bias: Floats

    def __call__(self, probs: ArrayLike) -> Floats:
        """Calibrated probabilities, shape ``(rows, num_labels)``."""
        log_probs = np.log(np.clip(np.asarray(probs, dtype=float), _TINY, None))
        return softmax(log_probs / self.calibration_temperature + self.bias, axis=1)


class LabelShift(NamedTuple):
    """An estimated label shift and its correction.

    Attributes:
        source_prior: Share of each class among the source validation rows.
        target_prior: The estimated share of each class among the target rows.
        distance: The L1 distance between the two.
        margin: 97.5th percentile of the L1 distance between redrawn estimates and the estimate.
        log_ratio: Added to calibrated log probabilities; zero if nothing is corrected.
        logit_shift: The same for the model's own logits, with the bias of the calibration:
            ``(log_ratio + b) * T``; zero if nothing is corrected. For ``shift_output_bias``.
        is_applied: Whether the guard let the correction pass.
        reason: Why, or why not.
    """

    source_prior: Floats
    target_prior: Floats
    distance: float
    margin: float
    log_ratio: Floats
    logit_shift: Floats
    is_applied: bool
    reason: str

    def __call__(self, probs: ArrayLike) -> Floats:
        """Corrected probabilities of target rows; unchanged if nothing is corrected."""
        probs = np.asarray(probs, dtype=float)
        if not self.is_applied:
            return probs
        return softmax(np.log(np.clip(probs, _TINY, None)) + self.logit_shift, axis=1)


def correct_label_shift(
    *,
    source_probs: ArrayLike,
    source_references: ArrayLike,
    target_probs: ArrayLike,
    target_rows: Dataset | None = None,
    method: str = "em",
    min_rows: int = 200,
    min_distance: float = 0.05,
    max_ratio: float = 2.0,
    num_resamples: int = 100,
    seed: int = 0,
) -> LabelShift:
    r"""Estimate the target's class shares from unlabelled rows, and correct the predictions.

    Under label shift :math:`p_t(x \mid y) = p_s(x \mid y)`, and Bayes' rule gives

    .. math:: p_t(y \mid x) \propto p_s(y \mid x) \, \frac{q(y)}{p(y)}

    with the source prior *p* and the target prior *q*. ``"em"`` finds *q* by the EM of Saerens et
    al. (2002), on probabilities calibrated with a temperature and a bias on the source validation
    rows (BCTS; Alexandari et al. 2020): :math:`q \leftarrow \frac{1}{n} \sum_i p_t(y \mid x_i; q)`.
    ``"bbse"`` solves :math:`C w = \mu` for :math:`w = q / p`, with the confusion matrix
    :math:`C_{ij} = p_s(\hat y = i, y = j)` and the shares of the predicted classes :math:`\mu`
    among the target rows (Lipton et al. 2018).

    A model that is worse in the other language breaks the assumption, and an estimate from few rows
    is noise. So nothing is changed unless all of these hold: there are ``min_rows`` target rows;
    the prior has moved by ``min_distance`` more than redrawing the rows explains; the target's
    probabilities are distributed like the source's with its classes reweighted by :math:`q / p`
    (Kolmogorov-Smirnov for each class, at 1% together); and the n-grams of ``target_rows``, if
    given, agree with the corrected predictions at least as often (``ngram_gain``). The last two
    keep the method from doing harm between languages, where the assumption seldom holds. The ratio
    is clipped to ``1 / max_ratio .. max_ratio``. The log says what was decided and why.

    Args:
        source_probs: Probabilities of labelled source rows that were not trained on, shape
            ``(rows, num_labels)``.
        source_references: Their label ids; rows with a negative id are left out.
        target_probs: Probabilities of the unlabelled target rows, same width.
        target_rows: These rows, for their n-grams; a label column in them is never read.
        method: ``"em"`` or ``"bbse"``.
        min_rows: Fewer target rows change nothing.
        min_distance: L1 distance beyond the margin that the prior must have moved.
        max_ratio: The largest change of a class's odds against the others.
        num_resamples: Redraws of both sets for the margin.
        seed: Seed of the redraws.

    Raises:
        ConfigError: An unknown ``method``, or a ``max_ratio`` below 1.
        DataError: Shapes that do not match, or values that are not probabilities.
    """
    if method not in LABEL_SHIFT_METHODS or max_ratio < 1 or num_resamples < 1:
        raise ConfigError(
            f"expected method {' or '.join(LABEL_SHIFT_METHODS)}, max_ratio and num_resamples of "
            f"at least 1; got {method!r}, {max_ratio} and {num_resamples}"
        )
    source, labels, target = _checked_rows(source_probs, source_references, target_probs)
    prior = labels.mean(axis=0) if len(labels) else np.zeros(source.shape[1])
    if len(target) < min_rows:
        return _not_corrected(prior, f"{len(target)} target rows are fewer than {min_rows}")
    if prior.min() <= 0:
        num_missing = int((prior <= 0).sum())
        return _not_corrected(prior, f"{num_missing} classes have no source validation row")
    estimate = _estimate_by_em if method == "em" else _estimate_by_bbse
    weights = np.ones(len(source)), np.ones(len(target))
    target_prior = estimate(source, labels, target, *weights)
    margin = _margin(estimate, source, labels, target, target_prior - prior, num_resamples, seed)
    found = _uncorrected(prior, target_prior, margin)
    if not found.distance - margin > min_distance:
        return _logged(found)
    misfit, bound = _misfit(source, labels @ (target_prior / prior), target)
    if misfit > bound:
        return _logged(
            found,
            "the target's probabilities do not look like the source's with other class shares "
            f"(distance {misfit:.2f}, expected at most {bound:.2f})",
        )
    corrected = _corrected(found, _fit_bias_correction(source, labels, weights[0]), max_ratio)
    gain = None
    if target_rows is not None:
        gain = ngram_gain(target, corrected(target).argmax(axis=1), target_rows)
    if gain is not None and gain < 0:
        return _logged(found, f"{-gain:.1%} fewer rows would agree with the n-grams of the target")
    return _logged(corrected)


def _checked_rows(
    source_probs: ArrayLike, source_references: ArrayLike, target_probs: ArrayLike
) -> tuple[Floats, Floats, Floats]:
    """Probabilities and one-hot labels of the labelled source rows, and target probabilities."""
    source, target = _checked(source_probs, "source"), _checked(target_probs, "target")
    references = np.asarray(source_references)
    if references.shape != source.shape[:1] or source.shape[1] != target.shape[1]:
        raise DataError(
            "expected one label id per source row and the same number of labels on both sides; got "
            f"{references.shape} ids for source {source.shape} and target {target.shape}"
        )
    source, references = source[references >= 0], references[references >= 0]
    labels = np.eye(source.shape[1])[references] if len(references) else source
    return source, labels, target


def _checked(probs: ArrayLike, side: str) -> Floats:
    array = np.asarray(probs, dtype=float)
    if array.ndim != 2 or array.shape[1] < 2:
        raise DataError(
            f"{side} probabilities: expected shape (rows, num_labels) with two labels or more; "
            f"got {array.shape}"
        )
    if (
        not (np.isfinite(array).all() and (array >= 0).all())
        or (np.abs(array.sum(axis=1) - 1) > 1e-3).any()
    ):
        raise DataError(
            f"{side} probabilities: expected rows that sum to 1; label shift is corrected for "
            "single-label tasks, on probabilities and not on logits"
        )
    return array


def _uncorrected(prior: Floats, target_prior: Floats, margin: float) -> LabelShift:
    distance, zero = float(np.abs(target_prior - prior).sum()), np.zeros_like(prior)
    reason = (
        f"estimated class shares {_shares(target_prior)} against {_shares(prior)} in the source: "
        f"{distance:.2f} apart in L1, {margin:.2f} of it within redrawing"
    )
    return LabelShift(prior, target_prior, distance, margin, zero, zero, False, reason)


def _corrected(found: LabelShift, correction: BiasCorrection, max_ratio: float) -> LabelShift:
    ratio = np.clip(found.target_prior / found.source_prior, 1 / max_ratio, max_ratio)
    log_ratio = np.log(ratio)
    shift = (log_ratio + correction.bias) * correction.calibration_temperature
    return found._replace(log_ratio=log_ratio, logit_shift=shift - shift.mean(), is_applied=True)


def _not_corrected(prior: Floats, reason: str) -> LabelShift:
    """No shift was estimated."""
    return _logged(_uncorrected(prior, prior, 0.0)._replace(reason=reason))


def _logged(shift: LabelShift, problem: str = "") -> LabelShift:
    """Log the decision; a problem found by the guard is added to the reason."""
    if problem:
        shift = shift._replace(reason=f"{shift.reason}; but {problem}")
    decision = "corrected" if shift.is_applied else "not corrected"
    logger.info("label shift is %s: %s", decision, shift.reason)
    return shift


def _shares(prior: Floats) -> str:
    return " ".join(f"{share:.2f}" for share in prior)


def _fit_bias_correction(probs: Floats, labels: Floats, weights: Floats) -> BiasCorrection:
    """The temperature and bias with the lowest weighted cross-entropy, regularised to T=1, b=0."""
    log_probs = np.log(np.clip(probs, _TINY, None))
    num_labels, total = probs.shape[1], weights.sum()

    # The weak regulariser matters only if the data does not decide: no validation row is wrong.
    def loss(parameters: Floats) -> tuple[float, Floats]:
        scale, bias = np.exp(parameters[0]), parameters[1:]
        fitted = log_softmax(scale * log_probs + bias, axis=1)
        error = (np.exp(fitted) - labels) * weights[:, None] / total
        gradient = np.concatenate([[scale * (error * log_probs).sum()], error.sum(axis=0)])
        value = -(labels * fitted).sum(axis=1) @ weights / total
        return value + 5e-4 * parameters @ parameters, gradient + 1e-3 * parameters

    found = minimize(loss, np.zeros(1 + num_labels), jac=True, method="L-BFGS-B").x
    return BiasCorrection(float(np.exp(-found[0])), found[1:] - found[1:].mean())


def _estimate_by_em(
    source: Floats,
    labels: Floats,
    target: Floats,
    source_weights: Floats,
    target_weights: Floats,
    *,
    max_iterations: int = 1000,
    tolerance: float = 1e-6,
) -> Floats:
    correction = _fit_bias_correction(source, labels, source_weights)
    # The prior inside the calibrated model is the mean of its predictions, which at the optimum of
    # the bias equals that of the labels; the regulariser's effect on the bias cancels out this way.
    prior = source_weights @ correction(source) / source_weights.sum()
    posterior = correction(target) / prior
    shares, weights = prior, target_weights / target_weights.sum()
    for _ in range(max_iterations):
        joint = posterior * shares
        new = weights @ (joint / joint.sum(axis=1, keepdims=True))
        moved, shares = np.abs(new - shares).sum(), new
        if moved < tolerance:
            break
    return shares


def _estimate_by_bbse(
    source: Floats, labels: Floats, target: Floats, source_weights: Floats, target_weights: Floats
) -> Floats:
    hard = np.eye(source.shape[1])
    confusion = (hard[source.argmax(axis=1)] * source_weights[:, None]).T @ labels
    confusion /= source_weights.sum()
    predicted = target_weights @ hard[target.argmax(axis=1)] / target_weights.sum()
    # A class that is never predicted makes the matrix singular: take the least-norm solution.
    ratio = np.linalg.lstsq(confusion, predicted, rcond=1e-3)[0].clip(min=0)
    shares = ratio * (source_weights @ labels)
    total = shares.sum()
    return shares / total if total > 0 else np.full(len(shares), 1 / len(shares))


def _misfit(source: Floats, weights: Floats, target: Floats) -> tuple[float, float]:
    """The largest Kolmogorov-Smirnov distance over the classes, and its bound at 1%."""
    num_labels = source.shape[1]
    size = weights.sum() ** 2 / (weights**2).sum()  # effective number of rows
    level = np.sqrt(-np.log(0.01 / num_labels / 2) / 2)
    bound = float(level * np.sqrt(1 / size + 1 / len(target)))
    distances = []
    for label in range(num_labels):
        order = np.argsort(source[:, label])
        shares = np.concatenate([[0.0], np.cumsum(weights[order]) / weights.sum()])
        points = np.concatenate([source[:, label], target[:, label]])
        below = shares[np.searchsorted(source[order, label], points, side="right")]
        seen = np.searchsorted(np.sort(target[:, label]), points, side="right") / len(target)
        distances.append(np.abs(below - seen).max())
    return float(max(distances)), bound


def _margin(
    estimate: Callable[..., Floats],
    source: Floats,
    labels: Floats,
    target: Floats,
    movement: Floats,
    num_resamples: int,
    seed: int,
) -> float:
    """The 97.5th percentile of the change in the prior's movement when both sets are redrawn."""
    generator = np.random.default_rng(seed)
    distances = []
    for _ in range(num_resamples):
        weights = [
            generator.multinomial(len(rows), np.full(len(rows), 1 / len(rows))).astype(float)
            for rows in (source, target)
        ]
        redrawn = estimate(source, labels, target, *weights) - weights[0] @ labels / len(source)
        distances.append(np.abs(redrawn - movement).sum())
    return float(np.quantile(distances, 0.975))
