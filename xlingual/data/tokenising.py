"""Encoding: rows of text become token ids with label ids, domain ids and weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from xlingual.data.collating import VIEW_PREFIX
from xlingual.errors import ColumnError, ConfigError
from xlingual.labels import LabelSpace
from xlingual.tasks import IGNORE_INDEX, SOURCE, Task

__all__ = ["encode", "label_space_of"]


def encode(
    dataset: Dataset,
    *,
    tokenizer: PreTrainedTokenizerBase,
    task: Task,
    label_space: LabelSpace,
    max_length: int = 128,
) -> Dataset:
    """Tokenise a data set and align its labels to ``label_space`` by name.

    Sentences are truncated to ``max_length`` tokens, pairs longest side first, and not padded:
    batches are padded when they are collated. A row without a label is kept and gets
    ``IGNORE_INDEX``, so unlabelled target text can share the batches.

    Args:
        dataset: Canonical columns (``text``, ``text_pair``, ``label`` or ``labels``), and
            optionally ``domain`` (0 source, 1 target), ``group`` (the number of its task or data
            set, for losses that distinguish them), ``weight`` (a factor on the row's loss),
            ``soft_labels`` (a teacher's probabilities by label name) and ``view_text`` or
            ``view_text_pair`` (a second text of the row).
        tokenizer: The tokenizer of the model that will read the rows.
        task: Defines the columns.
        label_space: The model's label space; the order of labels in the file does not matter.
        max_length: Tokens per row, special tokens included.

    Returns:
        Columns ``input_ids``, ``attention_mask``, ``labels``, ``domain``, ``weight``, ``length``
        (tokens, for length bucketing) and whatever else the tokenizer returns; ``soft_labels`` in
        the order of ``label_space`` and ``view_input_ids`` and so on where the rows have them.

    Raises:
        ColumnError: A text column of the task is missing.
        ConfigError: The task is tagging, which needs its own alignment.
        LabelSpaceError: A label is not in ``label_space``.
    """
    if task.name == "token":
        raise ConfigError(
            "token tasks align tags to characters, which encode() does not do; "
            "expected a task of sequence, pair or multi_label"
        )
    missing = [column for column in task.text_columns if column not in dataset.column_names]
    if missing:
        raise ColumnError(
            f"the {task.name} task needs the column(s) {', '.join(missing)}; "
            f"the data set has {', '.join(dataset.column_names)}"
        )
    return dataset.map(
        _encode_batch,
        batched=True,
        fn_kwargs={
            "tokenizer": tokenizer,
            "task": task,
            "label_space": label_space,
            "max_length": max_length,
        },
        remove_columns=dataset.column_names,
        load_from_cache_file=False,
        desc="Tokenising",
    )


def _encode_batch(
    batch: Mapping[str, list[Any]],
    *,
    tokenizer: PreTrainedTokenizerBase,
    task: Task,
    label_space: LabelSpace,
    max_length: int,
) -> dict[str, list[Any]]:
    texts = [batch[column] for column in task.text_columns]
    size = len(texts[0])
    encoded = dict(tokenizer(*texts, truncation=True, max_length=max_length))
    labels = batch.get(task.label_column) or [None] * size
    if task.name == "multi_label":
        encoded["labels"] = [_multi_hot(names, label_space) for names in labels]
    else:
        encoded["labels"] = [
            IGNORE_INDEX if name is None else label_space.id_of(name) for name in labels
        ]
    if "soft_labels" in batch:
        encoded["soft_labels"] = [_soft(probs, label_space) for probs in batch["soft_labels"]]
    if any(f"{VIEW_PREFIX}{column}" in batch for column in task.text_columns):
        views = [_view(batch, column) for column in task.text_columns]
        tokens = tokenizer(*views, truncation=True, max_length=max_length)
        encoded |= {f"{VIEW_PREFIX}{name}": values for name, values in tokens.items()}
    encoded["domain"] = batch.get("domain") or [SOURCE] * size
    if "group" in batch:
        encoded["group"] = batch["group"]
    # Rows of a set without weights have None once it is mixed with a set that has them.
    weights = batch.get("weight") or [None] * size
    encoded["weight"] = [1.0 if weight is None else float(weight) for weight in weights]
    encoded["length"] = [len(ids) for ids in encoded["input_ids"]]
    return encoded


def _view(batch: Mapping[str, list[Any]], column: str) -> list[str]:
    """The second text of each row, or its own text where it has none."""
    views = batch.get(f"{VIEW_PREFIX}{column}") or [None] * len(batch[column])
    return [text if view is None else view for text, view in zip(batch[column], views, strict=True)]


def _soft(probs: Mapping[str, float] | None, label_space: LabelSpace) -> list[float]:
    if probs is None or None in probs.values():
        return [float(IGNORE_INDEX)] * len(label_space)
    row = [0.0] * len(label_space)
    for name, probability in probs.items():
        row[label_space.id_of(name)] = probability
    return row


def _multi_hot(names: list[str] | None, label_space: LabelSpace) -> list[float]:
    if names is None:
        return [float(IGNORE_INDEX)] * len(label_space)
    row = [0.0] * len(label_space)
    for name in names:
        row[label_space.id_of(name)] = 1.0
    return row


def label_space_of(dataset: Dataset | None, task: Task) -> LabelSpace:
    """The label names in a data set's label column.

    Raises:
        ConfigError: There is no data set, or it has no such column.
    """
    column = task.label_column
    if dataset is None or column not in dataset.column_names:
        raise ConfigError(
            f"the label names are not known: give label_space, or rows with the column {column!r}"
        )
    values = (value for value in dataset[column] if value is not None)
    return LabelSpace.from_labels(
        name for value in values for name in (value if isinstance(value, list) else [value])
    )
