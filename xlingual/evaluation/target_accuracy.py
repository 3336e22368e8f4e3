"""The one estimate of a model's accuracy on unlabelled text that all reports show."""

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
"""Most rows of a set that an estimate reads; more would hardly narrow its interval."""


def sample_rows(rows: Dataset, *, max_rows: int = ESTIMATE_ROWS) -> Dataset:
    """Draw rows to estimate from at random; the same set gives the same rows.

    Args:
        rows: The set.
        max_rows: Upper limit of the number of rows.
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
    """Estimate the accuracy on target rows without reading their labels.

    The estimate is the agreement with an n-gram model of the rows (:func:`ngram_agreement`) if
    there is one, and the difference of confidences otherwise (:func:`estimate_accuracy`).

    Args:
        source_probs: Uncalibrated probabilities of labelled source rows that were not trained on,
            shape ``(rows, num_labels)``.
        source_references: Their label ids; rows with a negative id are left out.
        target_probs: Uncalibrated probabilities of the target rows.
        target_rows: The target rows with their ``text``; None if there is no text.
        calibration_temperature: Temperature fitted on the source rows; confidences in two
            languages are comparable only after calibration.
        learnt_ngrams: Whether the model was trained on predictions of an n-gram model of target
            text. It then agrees with n-grams too well, and confidences are used instead.

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
