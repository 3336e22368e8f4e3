"""Self-training: rounds of pseudo-labels on target text, balanced by class, with an abort rule."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from xlingual.data import mix_domains
from xlingual.errors import DataError
from xlingual.evaluation.label_arrays import gives_one_label
from xlingual.transfer.data.pseudo_labels import (
    choose_confident,
    predicted_prior,
    with_soft_labels,
)
from xlingual.transfer.loop.learner import Fit, Learner, ReadOnce

__all__ = ["SelfTraining", "doubling_shares", "self_train"]

logger = logging.getLogger(__name__)

Calibrate = Callable[[NDArray], NDArray]


@dataclass
class SelfTraining:
    """The result of self-training.

    Attributes:
        learner: The last student that was kept, or the teacher if the first was refused.
        rounds: Rounds that were kept.
        stopped: Why it ended early; empty if it did not.
        history: Rows, class shares and agreement of each round.
    """

    learner: Learner
    rounds: int = 0
    stopped: str = ""
    history: list[dict[str, object]] = field(default_factory=list)


def doubling_shares(num_rounds: int = 3, *, last: float = 0.8) -> list[float]:
    """The share of the target rows that each round uses: twice that of the round before.

    Args:
        num_rounds: Three give 0.2, 0.4 and 0.8.
        last: That of the last round; the least confident rows are never used.
    """
    return [last / 2**left for left in reversed(range(num_rounds))]


def self_train(
    fit: Fit,
    teacher: Learner,
    source: Dataset,
    unlabeled: Dataset | ReadOnce,
    *,
    shares: Sequence[float] = (0.2, 0.4, 0.8),
    confidence_threshold: float = 0.8,
    calibrate: Calibrate | None = None,
    second_teacher: Learner | None = None,
    max_prior_ratio: float = 2.0,
) -> SelfTraining:
    """Train students on source rows and the target rows the previous model is most confident of.

    In each round the model labels the target text; the most confident rows of each class are taken
    in proportion to the smoothed prior that the teacher predicted; and a new student is trained
    from the pretrained encoder on source and pseudo-labelled rows. The pseudo-labels are soft.
    Settings follow Xu et al. (2021), Dong and de Melo (2019) and Ye et al. (2020). Every round uses
    the prior of the teacher: re-estimated from the students, it drifts towards one half.

    Self-training can make a poor teacher worse. So it stops, and keeps the model of the previous
    round, if a class's share grows or shrinks by more than the factor ``max_prior_ratio``, or if
    the student contradicts its teacher on more than a third of the rows. It needs one label per
    row: for tagged sentences and for rows with several labels it keeps the teacher.

    Args:
        fit: Trains a model; called as ``fit("self_training_1", rows)``.
        teacher: The zero-shot model.
        source: Labelled rows.
        unlabeled: Target text; a label column in it is never read.
        shares: Share of the target rows used in each round.
        confidence_threshold: Rows with a lower (calibrated) confidence are never used.
        calibrate: Applied to the model's probabilities; None: they are used as they are.
        second_teacher: Rows on which the two teachers disagree are left out.
        max_prior_ratio: A larger change of a class's share counts as collapse.

    Raises:
        DataError: There is no target text.
    """
    text = ReadOnce.of(unlabeled)
    if not len(text.rows):
        raise DataError("self-training needs target text; --target_unlabeled has no rows")
    calibrate = calibrate or (lambda probs: probs)
    result = SelfTraining(learner=teacher)
    probs = text.predicted_by(teacher).probs
    if not gives_one_label(probs):
        result.stopped = "it needs one label per row"
        logger.warning("self-training is left out: %s; the teacher is kept", result.stopped)
        return result
    probs = calibrate(probs)
    first_prior = predicted_prior(probs)
    for number, share in enumerate(shares, start=1):
        chosen = choose_confident(
            _agreed(probs, second_teacher, text),
            share=share,
            threshold=confidence_threshold,
            prior=first_prior,
        )
        if len(chosen) < 2 * len(first_prior):
            result.stopped = f"round {number}: confident of only {len(chosen)} rows"
            break
        pseudo = with_soft_labels(
            text.rows.select(chosen), probs[chosen], label_space=result.learner.label_space
        )
        student = fit(
            f"self_training_{number}", mix_domains({"source": source}, {"pseudo": pseudo})
        )
        after = calibrate(text.predicted_by(student).probs)
        agreement = float((after.argmax(1) == probs.argmax(1)).mean())
        prior = predicted_prior(after)
        result.history.append(
            {"round": number, "rows": len(chosen), "prior": prior.round(4).tolist(),
             "agreement": round(agreement, 4)}
        )  # fmt: skip
        logger.info("self-training %s", result.history[-1])
        result.stopped = _collapse(prior, first_prior, agreement, max_prior_ratio)
        if result.stopped:
            break
        result.learner, result.rounds, probs = student, number, after
    if result.stopped:
        logger.warning(
            "self-training stopped (%s); %s is kept", result.stopped,
            f"round {result.rounds}" if result.rounds else "the teacher",
        )  # fmt: skip
    return result


def _agreed(probs: NDArray, second: Learner | None, text: ReadOnce) -> NDArray:
    """The probabilities, zero for rows on which a second teacher disagrees."""
    if second is None:
        return probs
    agrees = probs.argmax(1) == text.predicted_by(second).probs.argmax(1)
    return np.where(agrees[:, None], probs, 0.0)


def _collapse(prior: NDArray, first: NDArray, agreement: float, max_ratio: float) -> str:
    """Why the student must not be kept; empty if it may."""
    ratio = prior / first
    if ratio.max() > max_ratio or ratio.min() < 1 / max_ratio:
        worst = int(np.abs(np.log(ratio)).argmax())
        return f"class {worst} went from {first[worst]:.0%} to {prior[worst]:.0%} of the rows"
    if agreement < 2 / 3:
        return f"student and teacher agree on only {agreement:.0%} of the rows"
    return ""
