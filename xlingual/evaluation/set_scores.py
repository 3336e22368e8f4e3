"""The predictions for one evaluated set, and their scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from xlingual.evaluation.intervals import (
    BootstrapScore,
    resample_classification,
    resample_multi_label,
)
from xlingual.evaluation.scores import (
    confusion_matrix,
    label_set_majority_baseline,
    majority_baseline,
)
from xlingual.labels import LabelSpace
from xlingual.tasks import IGNORE_INDEX, Task

__all__ = ["LabelPredictions", "SetScores", "score_set"]


class LabelPredictions(NamedTuple):
    """The predictions of a model for a set, in the order of its rows.

    Attributes:
        references: (rows,) label ids, ``-100`` if there is none; multi-label: (rows, labels).
        predictions: Label ids of the same shape.
        probs: (rows, labels), softmax, or sigmoid for multi-label.
    """

    references: np.ndarray
    predictions: np.ndarray
    probs: np.ndarray


@dataclass(frozen=True)
class SetScores:
    """The scores of one evaluated set.

    Attributes:
        name: As in the metric keys: ``"en"``, ``"zh"``, ``"zh_hotel"``.
        num_rows: Labelled rows.
        scores: Every score with its bootstrap resamples.
        majority: Scores of always predicting the most frequent label.
        confusion: (labels, labels), rows are references; None for multi-label.
        output: References, predictions and probabilities of every row.
    """

    name: str
    num_rows: int
    scores: Mapping[str, BootstrapScore]
    majority: Mapping[str, float]
    confusion: np.ndarray | None
    output: LabelPredictions


def score_set(
    name: str, output: LabelPredictions, *, task: Task, label_space: LabelSpace, seed: int = 0
) -> SetScores:
    """Score one set, with 2,000 bootstrap resamples of its rows.

    Args:
        name: The set's name in keys and tables.
        output: The model's predictions for the set.
        task: Decides between single-label and multi-label scores.
        label_space: Names of the labels.
        seed: Seed of the resamples.
    """
    multi_label = task.name == "multi_label"
    resample = resample_multi_label if multi_label else resample_classification
    baseline = label_set_majority_baseline if multi_label else majority_baseline
    arrays: dict[str, Any] = {
        "references": output.references,
        "predictions": output.predictions,
    }
    labelled = (output.references != IGNORE_INDEX).reshape(len(output.references), -1).any(axis=1)
    return SetScores(
        name=name,
        num_rows=int(labelled.sum()),
        scores=resample(**arrays, label_names=label_space.names, seed=seed),
        majority=baseline(references=output.references, num_labels=len(label_space)),
        confusion=None if multi_label else confusion_matrix(**arrays, num_labels=len(label_space)),
        output=output,
    )
