"""Estimate the target accuracy of finished runs without target labels."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from xlingual.data import TransferData
from xlingual.errors import XlingualError
from xlingual.evaluation.prediction_rows import PredictionRows
from xlingual.evaluation.target_accuracy import (
    ESTIMATE_ROWS,
    estimate_target_accuracy,
    sample_rows,
)
from xlingual.inference import Predictor
from xlingual.tasks import Task

__all__ = ["UnlabeledPredictions", "estimate_run", "predict_unlabeled", "sample_unlabeled"]

logger = logging.getLogger(__name__)

UnlabeledPredictions = Sequence[tuple[NDArray[np.float64], Dataset | None]]
"""For each set, its uncalibrated probabilities and its rows, or None if it has no text."""


def sample_unlabeled(data: TransferData, *, num_rows: int = ESTIMATE_ROWS) -> dict[str, Dataset]:
    """Draw enough random rows of each unlabelled target set for an estimate.

    Args:
        data: The data; its ``target_unlabeled`` sets are sampled.
        num_rows: The most rows to draw from a set.
    """
    return {
        name: sample_rows(rows, max_rows=num_rows) for name, rows in data.target_unlabeled.items()
    }


def estimate_run(
    source: Sequence[PredictionRows],
    target: UnlabeledPredictions,
    *,
    calibration_temperature: float,
    learnt_ngrams: bool,
) -> float | None:
    """Estimate the accuracy of one run, averaged over the target sets.

    Args:
        source: Its predictions for the source sets.
        target: Its predictions for each target set.
        calibration_temperature: Fitted on the source sets.
        learnt_ngrams: Whether it was trained on labels from n-grams of the target text.

    Returns:
        A share from 0 to 1; None if there is nothing to estimate from.
    """
    if not source or not target:
        return None
    estimates = [
        estimate_target_accuracy(
            source_probs=np.concatenate([rows.output.probs for rows in source]),
            source_references=np.concatenate([rows.output.references for rows in source]),
            target_probs=probs,
            target_rows=rows,
            calibration_temperature=calibration_temperature,
            learnt_ngrams=learnt_ngrams,
        )
        for probs, rows in target
    ]
    return float(np.mean([estimate.accuracy.value for estimate in estimates]))


def tested_rows(sets: Sequence[PredictionRows], *, task: Task) -> UnlabeledPredictions:
    """The predictions of a run for its test sets, without their labels."""
    answers: list[tuple[NDArray[np.float64], Dataset | None]] = []
    for rows in sets:
        texts = {name: rows.columns[name] for name in task.text_columns if name in rows.columns}
        if not texts:
            answers.append((rows.output.probs, None))
            continue
        dataset = Dataset.from_dict({**texts, "row": list(range(len(rows.output.probs)))})
        sample = sample_rows(dataset)
        answers.append((rows.output.probs[sample["row"]], sample.remove_columns("row")))
    return answers


def predict_unlabeled(
    folder: Path, sets: Mapping[str, Dataset], *, task: Task, label_names: Sequence[str]
) -> UnlabeledPredictions:
    """Predict unlabelled sets with the model of a run; empty if the run saved no model.

    Args:
        folder: The folder of a finished run.
        sets: The unlabelled target sets.
        task: Names the text columns.
        label_names: Labels in the order of the columns of the probabilities.
    """
    if not sets:
        return []
    try:
        predictor = Predictor.from_pretrained(folder)
    except XlingualError as error:
        logger.warning("no estimate for %s: %s", folder.name, error)
        return []
    predictor.calibration_temperature = 1.0  # it is applied once, with that of the source rows
    answers: list[tuple[NDArray[np.float64], Dataset | None]] = []
    for rows in sets.values():
        columns = [list(rows[column]) for column in task.text_columns]
        texts = columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
        found = [prediction.probabilities for prediction in predictor.predict(texts)]
        kept = [position for position, by_name in enumerate(found) if by_name]
        if kept:
            probs = [[found[position][name] for name in label_names] for position in kept]
            answers.append((np.array(probs), rows.select(kept)))
    return answers
