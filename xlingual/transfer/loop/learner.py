"""The interfaces of the loop methods: a trained model, a way to train one, text read once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias
from weakref import WeakKeyDictionary

from datasets import Dataset

from xlingual.evaluation import LabelPredictions
from xlingual.labels import LabelSpace

__all__ = ["Fit", "Learner", "ReadOnce"]


class Learner(Protocol):
    """A trained model; ``TransferTrainer`` is one."""

    label_space: LabelSpace

    def predict_labels(self, dataset: Dataset) -> LabelPredictions:
        """Predict rows, labelled or not, in their order."""
        ...


class ReadOnce:
    """Rows that each model predicts only once, however many steps of a method need it.

    A method, its guard and a comparison predict the same target text with the same models. A model
    must not change after its first prediction; its predictions are freed together with it.

    Args:
        rows: The rows, labelled or not.

    Example:
        >>> text = ReadOnce(unlabeled)  # doctest: +SKIP
        >>> labelled = co_trained_rows(zero_shot, text)  # doctest: +SKIP
        >>> kept = safer_of(zero_shot, student, unlabeled=text)  # doctest: +SKIP
    """

    def __init__(self, rows: Dataset) -> None:
        self.rows = rows
        self._outputs: WeakKeyDictionary[Learner, LabelPredictions] = WeakKeyDictionary()

    @classmethod
    def of(cls, rows: Dataset | ReadOnce) -> ReadOnce:
        """Wrap rows, unless they are wrapped already."""
        return rows if isinstance(rows, cls) else cls(rows)

    def predicted_by(self, model: Learner) -> LabelPredictions:
        """The predictions of a model, computed at its first call."""
        if model not in self._outputs:
            self._outputs[model] = model.predict_labels(self.rows)
        return self._outputs[model]


# Trains on rows and returns the trained model; the name tells the stages of a run apart.
Fit: TypeAlias = Callable[[str, Dataset], Learner]
