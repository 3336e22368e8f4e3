"""What a loop method needs: a model that predicts, a way to fit one, and text that is read once."""

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
    """Rows that each model predicts once, however many steps of a method ask for it.

    A method, its guard and what compares them look at the same target text with the same models.
    A model must not change after it was first asked; its predictions go when it goes.

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
        """Rows as they are given to a method; those that are read once already are kept."""
        return rows if isinstance(rows, cls) else cls(rows)

    def predicted_by(self, model: Learner) -> LabelPredictions:
        """The predictions of a model, made where it was not asked before."""
        if model not in self._outputs:
            self._outputs[model] = model.predict_labels(self.rows)
        return self._outputs[model]


# Trains on rows and gives the trained model; the name tells the stages of a run apart.
Fit: TypeAlias = Callable[[str, Dataset], Learner]
