"""The estimate of a model's accuracy on unlabelled text, the same wherever one is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xlingual.evaluation.calibration import apply_calibration
from xlingual.evaluation.estimates import AccuracyEstimate, estimate_accuracy
from xlingual.evaluation.ngrams import ngram_agreement

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["ESTIMATE_ROWS", "estimate_target_accuracy", "sample_rows"]

ESTIMATE_ROWS = 5_000
"""Rows of a set that an estimate reads; more would hardly narrow it."""


def sample_rows(rows: Dataset, *, max_rows: int = ESTIMATE_ROWS) -> Dataset:
    """Rows to estimate from, drawn at random, the same for the same set.

    Args:
        rows: The set.
        max_rows: The most that are drawn.
    """
    return rows.shuffle(seed=0).select(range(min(max_rows, len(rows))))


def estimate_target_accuracy(
    *,
    source_probs: NDArray[np.float64],
    source_references: NDArray[np.int64],
    target_probs: NDArray[np.float64],
    target_rows: Dataset | None,
    calibration_temperature: float,
    learnt_ngrams: bool = False,
) -> AccuracyEstimate:
    """Estimate the accuracy on target rows without reading a label of theirs.

    By the agreement with the n-grams of the rows (:func:`ngram_agreement`) where they have a say,
    else by the difference of confidences (:func:`estimate_accuracy`).

    Args:
        source_probs: Uncalibrated, of labelled source rows that were not trained on, shape
            ``(rows, num_labels)``.
        source_references: Their label ids; rows with a negative id are left out.
        target_probs: Uncalibrated, of the target rows.
        target_rows: These rows, with their ``text``; None where there is no text.
        calibration_temperature: Was fitted on the source rows; confidences of two languages can
            only be compared after calibration.
        learnt_ngrams: Whether the model was trained on what n-grams of target text say. It then
            agrees with them too well, and its confidences are taken.

    Raises:
        DataError: As for :func:`estimate_accuracy`.
    """
    has_second_view = target_rows is not None and not learnt_ngrams
    return estimate_accuracy(
        apply_calibration(source_probs, calibration_temperature),
        source_references,
        apply_calibration(target_probs, calibration_temperature),
        agreement=ngram_agreement(target_probs, target_rows) if has_second_view else None,
    )
