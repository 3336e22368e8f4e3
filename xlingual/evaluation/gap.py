"""The transfer gap between the source and the target sets, with intervals.

::

    target_mean   = mean over the target sets of score(target)
    transfer_gap  = score(source) - target_mean
    gap_recovered = (method - zero_shot) / (supervised - zero_shot)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from xlingual.errors import DataError
from xlingual.evaluation.intervals import BootstrapScore, Interval, flatten_intervals

__all__ = ["TransferSummary", "gap_recovered", "transfer_summary"]


@dataclass(frozen=True)
class TransferSummary:
    """One score, compared between the source set and the target sets.

    Attributes:
        source: The score on the source set.
        target_mean: The unweighted mean over the target sets.
        transfer_gap: ``source - target_mean``; above 0 if the target is harder.
        worst_target: Name of the target set with the lowest score.
        worst_target_score: The score on that set.
    """

    source: Interval
    target_mean: Interval
    transfer_gap: Interval
    worst_target: str
    worst_target_score: Interval

    def to_results(self) -> dict[str, float | str]:
        """The flat keys of ``all_results.json``.

        Returns:
            ``target_mean``, ``transfer_gap`` and ``worst_target_score``, each with ``_low`` and
            ``_high``, and ``worst_target``, a name. The source score is left out: it has its own
            key, such as ``eval_en_accuracy``.
        """
        intervals = {
            "target_mean": self.target_mean,
            "transfer_gap": self.transfer_gap,
            "worst_target_score": self.worst_target_score,
        }
        return {**flatten_intervals(intervals), "worst_target": self.worst_target}


def transfer_summary(
    *,
    source: BootstrapScore,
    targets: Mapping[str, BootstrapScore],
    confidence: float = 0.95,
    seed: int = 0,
) -> TransferSummary:
    """Transfer gap, target mean and worst target of one score, each with its interval.

    The sets are taken as fixed and their rows as independent samples. To make the resamples
    independent even if all sets were resampled with the same seed, each set's resampled scores are
    shuffled before they are combined. Shuffling does not change the interval of a single set, so
    with one target ``target_mean`` equals that target's own line of the report to the last digit.

    The interval of the worst target is that of the set itself. It does not account for the set
    having been picked as the lowest: with many targets of equal difficulty the worst looks worse
    than it is.

    Args:
        source: The score on the source set with its resamples, for example
            ``resample_classification(...)["accuracy"]``. Scores rather than rows, so that it works
            for any task.
        targets: The same score on every target set, by name.
        confidence: Share of the resampled values that lie inside each interval.
        seed: Seed of the shuffles.

    Raises:
        DataError: There is no target, the numbers of resamples differ, or a score is not finite.
        ConfigError: ``confidence`` is not between 0 and 1.

    Example:
        >>> from xlingual.evaluation.intervals import resample_classification
        >>> labels = {"label_names": ["差评", "好评"]}
        >>> en = resample_classification(references=[0, 1], predictions=[0, 1], **labels)
        >>> zh = resample_classification(references=[0, 1], predictions=[0, 0], **labels)
        >>> summary = transfer_summary(source=en["accuracy"], targets={"hotel": zh["accuracy"]})
        >>> summary.transfer_gap.value, summary.worst_target
        (0.5, 'hotel')
    """
    _check_sets(source=source, targets=targets)
    generator = np.random.default_rng(seed)
    names = sorted(targets)  # the order of the mapping must not change the result
    source_resampled = generator.permutation(source.resampled)
    target_resampled = [generator.permutation(targets[name].resampled) for name in names]
    mean = BootstrapScore(
        float(np.mean([targets[name].value for name in names])), np.mean(target_resampled, axis=0)
    )
    gap = BootstrapScore(source.value - mean.value, source_resampled - mean.resampled)
    worst = min(names, key=lambda name: targets[name].value)
    return TransferSummary(
        source=source.interval(confidence=confidence),
        target_mean=mean.interval(confidence=confidence),
        transfer_gap=gap.interval(confidence=confidence),
        worst_target=worst,
        worst_target_score=targets[worst].interval(confidence=confidence),
    )


def gap_recovered(*, method: float, zero_shot: float, supervised: float) -> float:
    """Share of the way from zero-shot to full supervision that a method covers.

    Args:
        method: Score of the method.
        zero_shot: Score without target labels, in the same unit.
        supervised: Score with all target labels: the ceiling.

    Returns:
        0 at zero-shot, 1 at the ceiling, below 0 for a method that harms, above 1 past the
        ceiling. NaN if supervision is no better than zero-shot: there is no gap to recover, and
        the ratio would reward a method for doing worse.

    Raises:
        DataError: A score is not finite.

    Example:
        >>> gap_recovered(method=0.75, zero_shot=0.5, supervised=1.0)
        0.5
    """
    for name, value in (
        ("method", method),
        ("zero_shot", zero_shot),
        ("supervised", supervised),
    ):
        if not math.isfinite(value):
            raise DataError(f"{name} must be a finite score; got {value}; run it again")
    if supervised <= zero_shot:
        return math.nan
    return (method - zero_shot) / (supervised - zero_shot)


def _check_sets(*, source: BootstrapScore, targets: Mapping[str, BootstrapScore]) -> None:
    if not targets:
        raise DataError("a transfer summary needs at least one target set; got none; name one")
    for name, score in {"the source": source, **targets}.items():
        if score.resampled.shape != source.resampled.shape:
            raise DataError(
                f"all sets must have the same number of resamples; the source has "
                f"{source.resampled.shape}, {name} has {score.resampled.shape}; "
                "pass one num_resamples to all"
            )
        if not (math.isfinite(score.value) and np.isfinite(score.resampled).all()):
            raise DataError(f"the score of {name} must be finite; got {score.value}")
