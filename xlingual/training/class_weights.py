"""Class weights, by name or from the frequencies of the training rows."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from datasets import Dataset

from xlingual.config.weights import parse_name_weights
from xlingual.errors import ConfigError
from xlingual.labels import LabelSpace
from xlingual.tasks import Task

__all__ = ["resolve_class_weights"]


def resolve_class_weights(
    spec: str, dataset: Dataset | None, *, task: Task, label_space: LabelSpace
) -> torch.Tensor | None:
    r"""One factor per label for the loss, or None for equal weights.

    ``"auto"`` weighs a class by its inverse frequency,

    .. math:: w_c = \frac{N}{K \, n_c}

    (King and Zeng 2001), so the mean weight of a training row stays 1 and the learning rate keeps
    its meaning. For multi-label the factor is that of the positive term,
    :math:`(N - n_c) / n_c`.

    Args:
        spec: ``"none"``, ``"auto"``, or weights by name, ``"negative=2,neutral=1"``; a name that is
            left out has weight 1.
        dataset: The training rows; needed for ``"auto"``.
        task: Names the label column.
        label_space: Order of the weights.

    Raises:
        ConfigError: A weight is malformed or not positive, or ``"auto"`` has no labelled rows.
        LabelSpaceError: An unknown label name.
    """
    if spec == "none":
        return None
    if spec == "auto":
        return _inverse_frequency(dataset, task=task, label_space=label_space)
    weights = torch.ones(len(label_space))
    named = parse_name_weights(spec, flag="--class_weights takes none, auto, or")
    for name, weight in named.items():
        weights[label_space.id_of(name)] = weight
    return weights


def _inverse_frequency(
    dataset: Dataset | None, *, task: Task, label_space: LabelSpace
) -> torch.Tensor:
    column = task.label_column
    rows: list[Any] = []
    if dataset is not None and column in dataset.column_names:
        rows = [value for value in dataset[column] if value is not None]
    if not rows:
        raise ConfigError("--class_weights auto counts the labels of the training rows; got none")
    names = [name for value in rows for name in (value if isinstance(value, list) else [value])]
    found = Counter(label_space.id_of(name) for name in names)
    # A class without training rows never enters the loss; its weight only has to be finite.
    counts = torch.tensor([max(1, found[label]) for label in range(len(label_space))])
    if task.name == "multi_label":
        return (len(rows) - counts).clamp(min=1) / counts
    return len(rows) / (len(label_space) * counts)
