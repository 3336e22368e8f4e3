r"""Comparison of methods, each trained with several seeds and evaluated on the same rows.

Rows are resampled with replacement, the same rows for every method and seed (a paired bootstrap:
Koehn 2004, "Statistical Significance Tests for Machine Translation Evaluation"). In each resample
*b* a method *m* gets the mean over its seeds *s*,

.. math:: \bar a_m^{(b)} = \frac{1}{|S_m|} \sum_{s \in S_m} a(y^{(b)}, \hat y_{m,s}^{(b)}), \quad
    d^{(b)} = \bar a_m^{(b)} - \bar a_0^{(b)}

and the p-value of its difference from the baseline is

.. math:: p = \min\big(1,\; 2 \min(\#\{d^{(b)} \le 0\} + 1,\; \#\{d^{(b)} \ge 0\} + 1)
    / (B + 1)\big)

corrected over the methods by Holm (1979). These intervals do not cover the choice of seeds; the
standard deviation over the seeds is reported separately.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from xlingual.errors import ConfigError, DataError
from xlingual.evaluation.gap import gap_recovered
from xlingual.evaluation.intervals import BootstrapScore, Interval, draw_counts
from xlingual.evaluation.scores import (
    FloatArray,
    PairCounts,
    count_label_pairs,
    count_label_set_pairs,
    scores_from_counts,
)

__all__ = [
    "MethodComparison",
    "SeedScores",
    "cheapest_of_the_best",
    "compare_methods",
    "holm_correction",
    "mean_of_sets",
    "resample_methods",
]


class SeedScores(NamedTuple):
    """A method's score on one set.

    Attributes:
        seeds: The score of every seed.
        mean: Their mean, with its value in every resample of the rows.
    """

    seeds: FloatArray
    mean: BootstrapScore


@dataclass(frozen=True)
class MethodComparison:
    """A method compared with the baseline and the ceiling.

    Attributes:
        score: Mean over the seeds, with the interval over the rows.
        seed_deviation: Standard deviation over the seeds; NaN for one seed.
        difference: From the baseline, rows paired; None for the baseline itself.
        p_value: Of the difference, corrected by Holm; None for baseline and ceiling.
        gap_recovered: None without a ceiling; NaN if the ceiling is not above the baseline.
    """

    score: Interval
    seed_deviation: float
    difference: Interval | None = None
    p_value: float | None = None
    gap_recovered: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """A flat dict for JSON: bounds end in ``_low`` and ``_high``; undefined values are None."""
        values: dict[str, float | None] = {
            "score": self.score.value, "score_low": self.score.low, "score_high": self.score.high,
            "seed_deviation": self.seed_deviation,
            "p_value": self.p_value, "gap_recovered": self.gap_recovered,
        }  # fmt: skip
        for name in Interval._fields:
            key = "difference" if name == "value" else f"difference_{name}"
            values[key] = getattr(self.difference, name, None)
        return {k: None if v is None or math.isnan(v) else float(v) for k, v in values.items()}


def resample_methods(
    references: npt.ArrayLike,
    predictions: Mapping[str, Sequence[npt.ArrayLike]],
    *,
    label_names: Sequence[str],
    metric: str = "accuracy",
    num_resamples: int = 2000,
    seed: int = 0,
) -> dict[str, SeedScores]:
    """Score every method on one set, with the same resamples of the rows for all of them.

    Args:
        references: True label ids, shape ``(rows,)``, or multi-hot, ``(rows, labels)``. Rows
            without a label (-100) are left out.
        predictions: For each method one array per seed, of the shape of the references.
        label_names: The names, ordered by id.
        metric: A key of ``scores.py``: ``"accuracy"``, ``"macro_f1"``.
        num_resamples: Number of resamples.
        seed: The same seed gives the same resamples.

    Raises:
        DataError: A method without a prediction, shapes that differ, ids out of range.
        ConfigError: ``num_resamples`` below 1, or an unknown metric.
    """
    truth = np.asarray(references)
    labelled = (truth >= 0).reshape(len(truth), -1).all(axis=1)
    runs: dict[str, list[_Run]] = {}
    for method, arrays in predictions.items():
        answers = [np.asarray(array) for array in arrays]
        if not answers or any(array.shape != truth.shape for array in answers):
            raise DataError(
                f"{method}: expected at least one array of shape {truth.shape}, as the references "
                f"have; got {[array.shape for array in answers]}; compare runs on the same rows"
            )
        runs[method] = [_run(truth[labelled], a[labelled], label_names, metric) for a in answers]
    once = np.ones(int(labelled.sum()), dtype=np.int64)
    observed = {m: np.array([run.score(once[None])[0] for run in each]) for m, each in runs.items()}
    resampled: dict[str, list[FloatArray]] = {method: [] for method in runs}
    for drawn in draw_counts(once, num_resamples=num_resamples, seed=seed):
        counts = drawn.astype(np.float64)  # once for all runs
        for method, each in runs.items():
            resampled[method].append(np.mean([run.score(counts) for run in each], axis=0))
    return {
        method: SeedScores(
            scores, BootstrapScore(float(scores.mean()), np.concatenate(resampled[method]))
        )
        for method, scores in observed.items()
    }


def mean_of_sets(sets: Sequence[Mapping[str, SeedScores]]) -> dict[str, SeedScores]:
    """The unweighted mean over target sets of every method, per seed and per resample.

    Resample the sets with different seeds, so that their resamples are independent.

    Raises:
        DataError: No set, or sets that hold different methods or numbers of seeds.
    """
    sizes = [{method: scores.seeds.shape for method, scores in one.items()} for one in sets]
    if not sets or any(size != sizes[0] for size in sizes):
        raise DataError(f"expected the same methods and seeds in at least one set; got {sizes}")
    return {
        method: SeedScores(
            np.mean([one[method].seeds for one in sets], axis=0),
            BootstrapScore(
                float(np.mean([one[method].mean.value for one in sets])),
                np.mean([one[method].mean.resampled for one in sets], axis=0),
            ),
        )
        for method in sets[0]
    }


def compare_methods(
    scores: Mapping[str, SeedScores], *, baseline: str, ceiling: str | None = None
) -> dict[str, MethodComparison]:
    """Difference from the baseline, its corrected p-value, and the share of the gap recovered.

    Args:
        scores: From :func:`resample_methods` or :func:`mean_of_sets`.
        baseline: The method that the others are compared with; if it is missing (because it
            failed), only scores are returned.
        ceiling: The method trained on target labels; it gets no p-value.
    """
    base, top = scores.get(baseline), scores.get(ceiling or "")
    differences = {
        method: BootstrapScore(
            found.mean.value - base.mean.value, found.mean.resampled - base.mean.resampled
        )
        for method, found in scores.items()
        if base is not None and method != baseline
    }
    p_values = holm_correction(
        {method: _p_value(d.resampled) for method, d in differences.items() if method != ceiling}
    )
    return {
        method: MethodComparison(
            score=found.mean.interval(),
            seed_deviation=float(found.seeds.std(ddof=1)) if len(found.seeds) > 1 else math.nan,
            difference=differences[method].interval() if method in differences else None,
            p_value=p_values.get(method),
            gap_recovered=gap_recovered(
                method=found.mean.value, zero_shot=base.mean.value, supervised=top.mean.value
            )
            if base is not None and top is not None
            else None,
        )
        for method, found in scores.items()
    }


def holm_correction(p_values: Mapping[str, float]) -> dict[str, float]:
    r"""Holm's step-down correction, which controls the family-wise error rate.

    .. math:: \tilde p_{(i)} = \max_{j \le i} \min\big(1, (m - j + 1)\, p_{(j)}\big)

    Example:
        >>> holm_correction({"a": 0.01, "b": 0.04, "c": 0.03})
        {'a': 0.03, 'b': 0.06, 'c': 0.06}
    """
    corrected, largest = {}, 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[name]))
        corrected[name] = largest
    return {name: corrected[name] for name in p_values}


def cheapest_of_the_best(scores: Mapping[str, SeedScores], costs: Mapping[str, float]) -> str:
    """The cheapest method that is not significantly worse than the best one.

    A method is significantly worse if the 95% interval of its difference from the best, rows
    paired, is below 0.

    Args:
        scores: From :func:`resample_methods` or :func:`mean_of_sets`.
        costs: The cost of each method, such as its seconds.

    Raises:
        DataError: No method.
    """
    if not scores:
        raise DataError("expected at least one method to recommend from; got none; all failed")
    best = max(scores, key=lambda method: scores[method].mean.value)

    def is_as_good(method: str) -> bool:
        difference = scores[method].mean.resampled - scores[best].mean.resampled
        return float(np.quantile(difference, 0.975)) >= 0

    return min(filter(is_as_good, scores), key=lambda method: costs[method])


class _Run(NamedTuple):
    """One run, reduced to the (reference, prediction) pair of each row."""

    pairs: PairCounts
    shown: FloatArray  # (rows, pairs), one-hot
    label_names: Sequence[str]
    metric: str

    def score(self, counts: npt.NDArray[Any]) -> FloatArray:
        """The score for each count vector of the rows; counts (draws, rows), result (draws,)."""
        in_pairs = np.rint(counts @ self.shown).astype(np.int64)
        found = scores_from_counts(
            self.pairs, counts=in_pairs, label_names=self.label_names, with_micro_f1=True
        )
        if self.metric not in found:
            raise ConfigError(f"unknown score {self.metric!r}; expected one of {', '.join(found)}")
        return found[self.metric]


def _run(
    references: npt.NDArray[Any],
    predictions: npt.NDArray[Any],
    label_names: Sequence[str],
    metric: str,
) -> _Run:
    count = count_label_set_pairs if references.ndim == 2 else count_label_pairs
    folded = count(references=references, predictions=predictions, num_labels=len(label_names))
    both = np.concatenate(
        [array.reshape(len(array), -1) for array in (references, predictions)], axis=1
    )
    # Distinct rows in the order of both functions above: by reference, then by prediction.
    distinct, row_pairs = np.unique(both, axis=0, return_inverse=True)
    return _Run(folded, np.eye(len(distinct))[row_pairs.ravel()], label_names, metric)


def _p_value(difference: FloatArray) -> float:
    below, above = int((difference <= 0).sum()), int((difference >= 0).sum())
    return min(1.0, 2 * (min(below, above) + 1) / (len(difference) + 1))
