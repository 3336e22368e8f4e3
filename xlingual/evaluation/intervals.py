"""Percentile bootstrap intervals for the scores of one evaluation set.

Rows are drawn with replacement, as many as the set has, and every score is computed again; the
interval runs from the 2.5th to the 97.5th percentile of the resampled scores (Efron and
Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13).

Drawing ``n`` rows with replacement and counting how often each distinct (reference, prediction)
pair was drawn *is* one multinomial draw,

    counts* ~ Multinomial(n, counts / n),

and the scores depend on the rows only through these counts. So the counts are drawn directly: the
result has exactly the distribution of a row bootstrap, and 2,000 resamples take milliseconds.

Limits of such an interval:

* It covers the choice of *rows*, not the training seed, and it takes rows as independent: several
  sentences cut from one review make it too narrow.
* A set with one distinct pair has nothing to resample: one row, one class with every row right, or
  every row wrong in the same way all give ``low == value == high``. That is a limit of the method,
  not certainty; without an error in ``n`` rows the true error rate can still be about ``3 / n``.
* For accuracy ``low <= value <= high``. F1 is not linear in the counts, so with a handful of rows
  of a class the value can be on or even outside a bound; it is deliberately not clipped.
* A resample that misses a rare class scores it by the rules of ``scores.py``: 0 in its own
  precision, recall and F1, left out of ``macro_f1``. Intervals of such classes can reach 0.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from xlingual.errors import ConfigError
from xlingual.evaluation.label_arrays import check_label_names
from xlingual.evaluation.scores import (
    FloatArray,
    count_label_pairs,
    count_label_set_pairs,
    scores_from_counts,
)

__all__ = [
    "BootstrapScore",
    "Interval",
    "bootstrap_classification",
    "bootstrap_multi_label",
    "draw_counts",
    "flatten_intervals",
    "resample_classification",
    "resample_multi_label",
]

logger = logging.getLogger(__name__)

_MAX_BLOCK_SIZE = 2_000_000  # counts drawn at once: 16 MB of int64, whatever the size of the set


class Interval(NamedTuple):
    """A score with the bounds of its interval, all in the unit of the score."""

    value: float
    low: float
    high: float


class BootstrapScore(NamedTuple):
    """A score with its resampled values, which also give intervals of differences.

    Attributes:
        value: The score of the set as it is.
        resampled: The score of every resample, shape ``(num_resamples,)``.
    """

    value: float
    resampled: FloatArray

    def interval(self, *, confidence: float = 0.95) -> Interval:
        """The central percentile interval.

        Args:
            confidence: Share of the resampled scores that lie inside.

        Raises:
            ConfigError: ``confidence`` is not between 0 and 1.
        """
        if not 0 < confidence < 1:
            raise ConfigError(
                f"confidence must lie between 0 and 1; got {confidence}; 0.95 is usual"
            )
        tail = (1 - confidence) / 2
        low, high = np.quantile(self.resampled, [tail, 1 - tail])
        return Interval(self.value, float(low), float(high))


def bootstrap_classification(
    *,
    references: npt.ArrayLike,
    predictions: npt.ArrayLike,
    label_names: Sequence[str],
    num_resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, Interval]:
    """Scores of a single-label classifier, each with its interval.

    Args:
        references: True label ids, shape ``(num_rows,)``; rows with ``-100`` are left out.
        predictions: Predicted label ids, shape ``(num_rows,)``.
        label_names: The names, ordered by id.
        num_resamples: With 2,000 the bounds have a standard error of 1.5% of the width.
        confidence: Share of the resampled scores that lie inside the interval.
        seed: The same seed gives the same bounds, whatever the order of the rows.

    Returns:
        An interval under every key of
        :func:`~xlingual.evaluation.scores.classification_scores`, with its value.

    Raises:
        DataError: Shapes differ, ids are out of range, or no row has a label.
        ConfigError: ``num_resamples`` or ``confidence`` is out of range.

    Example:
        >>> intervals = bootstrap_classification(
        ...     references=[0, 1] * 50,
        ...     predictions=[0, 1] * 40 + [1, 0] * 10,
        ...     label_names=["差评", "好评"],
        ... )
        >>> value, low, high = intervals["accuracy"]
        >>> value, round(low, 1), round(high, 1)
        (0.8, 0.7, 0.9)
    """
    scores = _resample(references, predictions, label_names, num_resamples, seed, multi_label=False)
    return {key: score.interval(confidence=confidence) for key, score in scores.items()}


def bootstrap_multi_label(
    *,
    references: npt.ArrayLike,
    predictions: npt.ArrayLike,
    label_names: Sequence[str],
    num_resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, Interval]:
    """Scores of a multi-label classifier, each with its interval; whole rows are resampled.

    Args:
        references: True labels, multi-hot, shape ``(num_rows, num_labels)``; rows that are
            ``-100`` throughout are left out.
        predictions: Predicted labels, multi-hot, same shape.
        label_names: The names of the columns, in order.
        num_resamples: See :func:`bootstrap_classification`.
        confidence: See :func:`bootstrap_classification`.
        seed: See :func:`bootstrap_classification`.

    Returns:
        An interval under every key of :func:`~xlingual.evaluation.scores.multi_label_scores`.

    Raises:
        DataError: Shapes are wrong, a value is not 0 or 1, or no row has labels.
        ConfigError: ``num_resamples`` or ``confidence`` is out of range.
    """
    scores = _resample(references, predictions, label_names, num_resamples, seed, multi_label=True)
    return {key: score.interval(confidence=confidence) for key, score in scores.items()}


def resample_classification(
    *,
    references: npt.ArrayLike,
    predictions: npt.ArrayLike,
    label_names: Sequence[str],
    num_resamples: int = 2000,
    seed: int = 0,
) -> dict[str, BootstrapScore]:
    """Like :func:`bootstrap_classification`, keeping the resampled scores.

    Use it if sets are compared afterwards, as ``transfer_summary`` does.
    """
    return _resample(references, predictions, label_names, num_resamples, seed, multi_label=False)


def resample_multi_label(
    *,
    references: npt.ArrayLike,
    predictions: npt.ArrayLike,
    label_names: Sequence[str],
    num_resamples: int = 2000,
    seed: int = 0,
) -> dict[str, BootstrapScore]:
    """Like :func:`bootstrap_multi_label`, keeping the resampled scores."""
    return _resample(references, predictions, label_names, num_resamples, seed, multi_label=True)


def draw_counts(
    counts: npt.NDArray[np.int64], *, num_resamples: int, seed: int
) -> Iterator[npt.NDArray[np.int64]]:
    """Draw resamples of a set with replacement, in blocks that fit in memory.

    Args:
        counts: How often each kind of row occurs, shape ``(kinds,)``.
        num_resamples: Number of resamples.
        seed: The same seed gives the same resamples.

    Yields:
        How often each kind was drawn, shape ``(resamples of the block, kinds)``.

    Raises:
        ConfigError: ``num_resamples`` is below 1.
    """
    if num_resamples < 1:
        raise ConfigError(f"num_resamples must be 1 or more; got {num_resamples}; 2000 is usual")
    generator = np.random.default_rng(seed)
    num_rows = int(counts.sum())
    block_size = max(1, _MAX_BLOCK_SIZE // len(counts))
    for start in range(0, num_resamples, block_size):
        size = min(block_size, num_resamples - start)
        yield generator.multinomial(num_rows, counts / num_rows, size=size)


def flatten_intervals(intervals: Mapping[str, Interval], *, prefix: str = "") -> dict[str, float]:
    """Spread intervals over the flat keys of ``all_results.json``.

    Args:
        intervals: Intervals by score name.
        prefix: Put before every key, for example ``"eval_zh_"``.

    Returns:
        ``<prefix><key>``, ``<prefix><key>_low`` and ``<prefix><key>_high`` for every score. A
        bound whose key is already the value of another score (labels named ``price`` and
        ``price_low``) is left out, with a warning in the log.
    """
    flat = {f"{prefix}{key}": interval.value for key, interval in intervals.items()}
    for key, interval in intervals.items():
        for bound, value in (("low", interval.low), ("high", interval.high)):
            name = f"{prefix}{key}_{bound}"
            if f"{key}_{bound}" in intervals:
                logger.warning("%s is the value of another label; the bound is left out", name)
            else:
                flat[name] = value
    return flat


def _resample(
    references: npt.ArrayLike,
    predictions: npt.ArrayLike,
    label_names: Sequence[str],
    num_resamples: int,
    seed: int,
    *,
    multi_label: bool,
) -> dict[str, BootstrapScore]:
    names = check_label_names(label_names)
    count = count_label_set_pairs if multi_label else count_label_pairs
    pairs = count(references=references, predictions=predictions, num_labels=len(names))

    def score(counts: npt.NDArray[np.int64]) -> dict[str, FloatArray]:
        return scores_from_counts(
            pairs, counts=counts, label_names=names, with_micro_f1=multi_label
        )

    draws = draw_counts(pairs.counts, num_resamples=num_resamples, seed=seed)
    blocks = [score(counts) for counts in draws]
    return {
        key: BootstrapScore(float(value), np.concatenate([block[key] for block in blocks]))
        for key, value in score(pairs.counts).items()
    }
