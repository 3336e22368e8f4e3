"""The guard of methods that use more than the source: keep the zero-shot model if they fail."""

from __future__ import annotations

import logging
from typing import TypeVar

import numpy as np
from datasets import Dataset

from xlingual.evaluation import LabelPredictions
from xlingual.transfer.data.ngram_view import ngram_gain
from xlingual.transfer.data.pseudo_labels import class_change
from xlingual.transfer.loop.learner import Learner, ReadOnce

__all__ = ["better_on", "safer_of"]

logger = logging.getLogger(__name__)


Predictor = TypeVar("Predictor", bound=Learner)


def better_on(held_out: Dataset, *, zero_shot: Predictor, few_shot: Predictor) -> Predictor:
    """Keep the few-shot model unless the zero-shot one is right on more of the held-out rows.

    A tie goes to the few-shot model, which has seen more of the target. If the target's labels are
    not the source's, the two cannot be compared, and the few-shot model is kept.

    Args:
        held_out: Labelled target rows that neither model was trained on.
        zero_shot: Trained on the source alone.
        few_shot: Trained on target rows too.

    Returns:
        One of the two.
    """
    if zero_shot.label_space != few_shot.label_space or not len(held_out):
        logger.warning("no comparison with zero-shot is possible: the few-shot model is kept")
        return few_shot
    before, after = (_num_right(model.predict_labels(held_out)) for model in (zero_shot, few_shot))
    kept, verdict = (few_shot, "few-shot") if after >= before else (zero_shot, "zero-shot")
    logger.warning(
        "held-out shots: zero-shot is right on %d of %d, few-shot on %d; the %s model is kept",
        before, len(held_out), after, verdict,
    )  # fmt: skip
    return kept


def safer_of(
    teacher: Predictor,
    student: Predictor,
    *,
    unlabeled: Dataset | ReadOnce | None,
    source_validation: Dataset | None = None,
    max_source_loss: float = 0.03,
    max_prior_shift: float = 0.2,
    min_agreement: float = 2 / 3,
    max_ngram_loss: float = 0.01,
) -> Predictor:
    """Keep the zero-shot model if its replacement shows a sign of collapse.

    Without target labels nothing can prove that a method helped, but a failure usually shows. The
    student is refused if it has forgotten the source (its accuracy there fell by more than
    ``max_source_loss``), if the share of a class among its target predictions moved by more than
    ``max_prior_shift``, if it contradicts the teacher on more than a third of the target rows, or
    if it agrees less with the n-grams of the target (``co_train_labels`` of the teacher; skipped if
    these are refused).

    Args:
        teacher: The zero-shot model.
        student: The model that a method made from it.
        unlabeled: Target text; None: only the source is checked.
        source_validation: Labelled source rows that neither was trained on; None: not checked.
        max_source_loss: Largest loss of source accuracy; of the order of its own noise.
        max_prior_shift: Largest change of a class's share, absolute.
        min_agreement: Smallest share of target rows on which the two agree.
        max_ngram_loss: Largest loss of agreement with the n-grams, as a share of the target rows.

    Returns:
        One of the two.
    """
    if teacher is student:
        return teacher
    signs: list[tuple[bool, str]] = []
    if source_validation is not None and len(source_validation):
        right = [_num_right(m.predict_labels(source_validation)) for m in (teacher, student)]
        lost = (right[0] - right[1]) / len(source_validation)
        signs.append((lost > max_source_loss, f"source accuracy {-100 * lost:+.1f} points"))
    if unlabeled is not None:
        text = ReadOnce.of(unlabeled)
        before, after = (text.predicted_by(model) for model in (teacher, student))
        shift, agreement = class_change(
            before.predictions, after.predictions, num_labels=before.probs.shape[1]
        )
        signs += [
            (shift > max_prior_shift, f"largest class shift {shift:.0%}"),
            (agreement < min_agreement, f"agreement with zero-shot {agreement:.0%}"),
        ]
        gain = ngram_gain(before.probs, after.predictions, text.rows)
        if gain is not None:
            words = f"agreement with the target's n-grams {100 * gain:+.1f} points"
            signs.append((gain < -max_ngram_loss, words))
    if problems := [words for is_bad, words in signs if is_bad]:
        logger.warning("the guard keeps the zero-shot model: %s", ", ".join(problems))
        return teacher
    seen = ", ".join(words for _, words in signs)
    logger.warning("the guard lets the new model pass: %s", seen or "nothing to check")
    return student


def _num_right(output: LabelPredictions) -> int:
    right = output.references == output.predictions
    return int(np.sum(right.reshape(len(right), -1).all(axis=1)))
