"""Distillation: the soft labels of one teacher, or the weighted mean of several."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from xlingual.errors import ConfigError, DataError, LabelSpaceError
from xlingual.evaluation import LabelPredictions
from xlingual.labels import LabelSpace
from xlingual.tasks import IGNORE_INDEX, Task, get_task
from xlingual.transfer.data.pseudo_labels import with_soft_labels

__all__ = ["Teacher", "TeacherEnsemble", "fuse_probs"]


class _Answer(Protocol):
    @property
    def probabilities(self) -> Mapping[str, float]: ...

    @property
    def error(self) -> str | None: ...


class Teacher(Protocol):
    """The interface of a teacher; a ``Predictor`` has it, whatever its vocabulary."""

    label_names: tuple[str, ...]

    def predict(self, rows: Any, /) -> Sequence[_Answer]:
        """Probabilities by label name, for each row."""
        ...


def fuse_probs(probs: Sequence[NDArray], *, weights: Sequence[float] | None = None) -> NDArray:
    r"""The weighted mean of several teachers' probabilities.

    .. math:: q_{ic} = \sum_k w_k \, p^{(k)}_{ic} \Big/ \sum_k w_k

    Probabilities are averaged and not logits: otherwise teachers with larger logits would outvote
    the others (You et al. 2017, learning from multiple teachers).

    Args:
        probs: Predictions of each teacher, shape ``(rows, num_labels)``, in one order of labels.
        weights: :math:`w_k`, above 0; None: equal.

    Raises:
        ConfigError: Not one positive weight for each teacher.
        DataError: The shapes differ, or a probability is not finite.
    """
    weights = [1.0] * len(probs) if weights is None else [float(w) for w in weights]
    if not probs or len(weights) != len(probs) or any(not 0 < w < math.inf for w in weights):
        raise ConfigError(
            f"fusing {len(probs)} teachers needs one weight above 0 for each; got {weights}"
        )
    arrays = [np.asarray(part, dtype=float) for part in probs]
    for number, part in enumerate(arrays, start=1):
        if part.shape != arrays[0].shape:
            raise DataError(
                f"teacher {number} gave probabilities of shape {part.shape}, the first one of "
                f"{arrays[0].shape}"
            )
        if not np.isfinite(part).all():
            raise DataError(
                f"teacher {number} gave probabilities that are not finite (NaN) for "
                f"{int((~np.isfinite(part)).any(axis=1).sum())} of {len(part)} rows; nothing can "
                "be learnt from them: check its weights, or run it in fp32"
            )
    return np.average(np.stack(arrays), axis=0, weights=weights)


class TeacherEnsemble:
    """Several trained models that predict as one; a ``Learner`` for the methods that need one.

    Teachers may have any architecture, vocabulary and order of labels: they read text, and their
    labels are matched by name.

    Args:
        teachers: Teachers by the name that errors use for them, usually the folder.
        task: ``"sequence"``, ``"pair"`` or ``"multi_label"``.
        label_space: The student's labels.
        weights: Weights of the teachers in their order, above 0; None: equal.

    Raises:
        LabelSpaceError: A teacher has other labels than the student.
        ConfigError: There is no teacher, or not one positive weight for each.
    """

    def __init__(
        self,
        teachers: Mapping[str, Teacher],
        *,
        task: str | Task,
        label_space: LabelSpace,
        weights: Sequence[float] | None = None,
    ) -> None:
        self.teachers = dict(teachers)
        self.task = get_task(task) if isinstance(task, str) else task
        self.label_space = label_space
        self.weights = weights
        fuse_probs([np.zeros((0, 1))] * len(self.teachers), weights=weights)  # checks the weights
        for name, teacher in self.teachers.items():
            own = LabelSpace(tuple(teacher.label_names))
            if not own.is_permutation_of(label_space):
                raise LabelSpaceError(
                    f"the teacher {name} has the labels {', '.join(own.names)}, the data "
                    f"{', '.join(label_space.names)}; expected the same names in any order: "
                    "rename those of the data with --label_map, or mend id2label in the "
                    "teacher's config.json"
                )

    def predict_labels(self, dataset: Dataset) -> LabelPredictions:
        """The fused probabilities of each row; gold labels are not read.

        Raises:
            DataError: A teacher has no prediction for a row, or one that is not finite.
        """
        columns = [dataset[name][:] for name in self.task.text_columns]
        rows = columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
        probs = fuse_probs(
            [self._probs(name, teacher, rows) for name, teacher in self.teachers.items()],
            weights=self.weights,
        )
        is_multi = self.task.name == "multi_label"
        predictions = (probs > 0.5).astype("int64") if is_multi else probs.argmax(axis=1)
        return LabelPredictions(np.full_like(predictions, IGNORE_INDEX), predictions, probs)

    def teach(self, dataset: Dataset) -> Dataset:
        """Add soft labels to rows; hard labels that they have are kept.

        ``soft_label_weight`` of the arguments then weighs one against the other.
        """
        column = self.task.label_column
        taught = with_soft_labels(
            dataset, self.predict_labels(dataset).probs, label_space=self.label_space
        )
        if column not in dataset.column_names:
            return taught
        return taught.add_column(column, dataset[column][:], feature=dataset.features[column])

    def _probs(self, name: str, teacher: Teacher, rows: Sequence[Any]) -> NDArray:
        answers = teacher.predict(rows)
        failed = [answer.error for answer in answers if answer.error or not answer.probabilities]
        if failed:
            raise DataError(
                f"the teacher {name} has no answer for {len(failed)} of {len(rows)} rows "
                f"({failed[0]}); a teacher with NaN in its weights cannot teach"
            )
        own = LabelSpace(tuple(teacher.label_names))
        order = [own.names[own.id_of(label)] for label in self.label_space.names]
        return np.array([[answer.probabilities[label] for label in order] for answer in answers])
