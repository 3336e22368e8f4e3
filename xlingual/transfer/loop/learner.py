"""What a loop method needs of training: a model that predicts, and a way to fit one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from datasets import Dataset

from xlingual.evaluation import LabelPredictions
from xlingual.labels import LabelSpace

__all__ = ["Fit", "Learner"]


class Learner(Protocol):
    """A trained model; ``TransferTrainer`` is one."""

    label_space: LabelSpace

    def predict_labels(self, dataset: Dataset) -> LabelPredictions:
        """Predict rows, labelled or not, in their order."""
        ...


# Trains on rows and gives the trained model; the name tells the stages of a run apart.
Fit: TypeAlias = Callable[[str, Dataset], Learner]
