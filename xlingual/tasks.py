"""Tasks: the columns, head, loss, decision rule and primary metric of each."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from xlingual.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    import torch

__all__ = ["IGNORE_INDEX", "SOURCE", "TARGET", "Task", "get_task", "is_labelled"]

SOURCE, TARGET = 0, 1
"""Domain ids: the labelled side and the side to be served."""

IGNORE_INDEX = -100
"""The label id of a row (or token) that has no label; it adds nothing to any loss."""

RowLoss = Callable[..., "torch.Tensor"]


def cross_entropy_per_row(
    logits: torch.Tensor,
    labels: torch.Tensor,
    *,
    class_weights: torch.Tensor | None = None,
    label_smoothing: float = 0.0,
) -> torch.Tensor:
    r"""Cross-entropy of each row, unreduced, zero where a row is unlabelled.

    .. math:: \ell_i = -w_{y_i} \log p_i(y_i)

    Token rows are averaged over their labelled tokens.

    Shape:
        logits (batch, num_labels) with labels (batch,), or logits (batch, length, num_labels)
        with labels (batch, length); returns (batch,).
    """
    import torch.nn.functional as F

    losses = F.cross_entropy(
        logits.flatten(0, -2).float(),
        labels.flatten(),
        weight=class_weights,
        ignore_index=IGNORE_INDEX,
        label_smoothing=label_smoothing,
        reduction="none",
    )
    if labels.dim() == 1:
        return losses
    counts = (labels != IGNORE_INDEX).sum(dim=1).clamp(min=1)
    return losses.view_as(labels).sum(dim=1) / counts


def binary_cross_entropy_per_row(
    logits: torch.Tensor,
    labels: torch.Tensor,
    *,
    class_weights: torch.Tensor | None = None,
    label_smoothing: float = 0.0,
) -> torch.Tensor:
    r"""Binary cross-entropy of each row: the mean over its labels, zero where it is unlabelled.

    BCE has no ignore index, so an unlabelled row carries ``IGNORE_INDEX`` throughout and is masked.
    ``class_weights`` multiply the positive term (``pos_weight``).

    Shape:
        logits and labels (batch, num_labels); returns (batch,).
    """
    import torch.nn.functional as F

    labelled = (labels != IGNORE_INDEX).all(dim=1)
    targets = labels.float().clamp(min=0.0)
    targets = targets * (1 - label_smoothing) + 0.5 * label_smoothing
    losses = F.binary_cross_entropy_with_logits(
        logits.float(), targets, pos_weight=class_weights, reduction="none"
    )
    return losses.mean(dim=1) * labelled


def is_labelled(labels: torch.Tensor) -> torch.Tensor:
    """Whether each row has a label.

    Shape:
        labels (batch,) or (batch, n), ``IGNORE_INDEX`` throughout an unlabelled row; returns
        (batch,).
    """
    labelled = labels != IGNORE_INDEX
    return labelled.flatten(1).any(dim=1) if labels.dim() > 1 else labelled


def _softmax(logits: np.ndarray) -> np.ndarray:
    from scipy.special import softmax

    return softmax(logits, axis=-1)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    from scipy.special import expit

    return expit(logits)


def _argmax(logits: np.ndarray) -> np.ndarray:
    return logits.argmax(axis=-1)


def _positive_logits(logits: np.ndarray) -> np.ndarray:
    """Labels with a probability above one half, as a multi-hot array."""
    return (logits > 0).astype("int64")


@dataclass(frozen=True)
class Task:
    """Everything that differs between kinds of classification, in one place.

    Args:
        name: The name that selects it.
        text_columns: Canonical input columns of a data set.
        label_column: Canonical label column.
        auto_class: The transformers class that puts the head on the encoder.
        problem_type: Value of ``config.problem_type``, so that a saved model behaves the same.
        primary_metric: The score used for selection, for the transfer gap and in the table.
        loss_per_row: ``(logits, labels, *, class_weights, label_smoothing) -> (batch,)``.
        decide: Logits to label ids, both NumPy.
        probabilities: Logits to probabilities, both NumPy.
    """

    name: str
    text_columns: tuple[str, ...]
    label_column: str
    auto_class: str
    problem_type: str | None
    primary_metric: str
    loss_per_row: RowLoss
    decide: Callable[[np.ndarray], np.ndarray]
    probabilities: Callable[[np.ndarray], np.ndarray]


SEQUENCE = Task(
    name="sequence",
    text_columns=("text",),
    label_column="label",
    auto_class="AutoModelForSequenceClassification",
    problem_type="single_label_classification",
    primary_metric="accuracy",
    loss_per_row=cross_entropy_per_row,
    decide=_argmax,
    probabilities=_softmax,
)
PAIR = replace(SEQUENCE, name="pair", text_columns=("text", "text_pair"))
MULTI_LABEL = replace(
    SEQUENCE,
    name="multi_label",
    label_column="labels",
    problem_type="multi_label_classification",
    primary_metric="macro_f1",
    loss_per_row=binary_cross_entropy_per_row,
    decide=_positive_logits,
    probabilities=_sigmoid,
)
# Tagging has a head and a loss here, but encode() does not align tags to characters.
TOKEN = replace(
    SEQUENCE,
    name="token",
    text_columns=("tokens",),
    label_column="tags",
    auto_class="AutoModelForTokenClassification",
    problem_type=None,
    primary_metric="entity_f1",
)

_TASKS = {task.name: task for task in (SEQUENCE, PAIR, MULTI_LABEL, TOKEN)}


def get_task(name: str) -> Task:
    """The task with this name.

    Raises:
        ConfigError: There is no such task; the message lists all of them.
    """
    task = _TASKS.get(name)
    if task is None:
        near = difflib.get_close_matches(name, _TASKS, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ConfigError(f"unknown task {name!r}{hint}; expected one of {', '.join(_TASKS)}")
    return task
