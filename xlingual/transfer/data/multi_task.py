"""Several tasks or domains on one encoder: their heads, their share of the steps, their folders."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor
from transformers import AutoModelForSequenceClassification

from xlingual.config.training import TransferArguments
from xlingual.data import TransferData
from xlingual.errors import ConfigError, LabelSpaceError
from xlingual.labels import LabelSpace
from xlingual.models.features import output_layer
from xlingual.models.loading import load_tokenizer
from xlingual.saving import folder_beside
from xlingual.tasks import IGNORE_INDEX, Task, cross_entropy_per_row

__all__ = ["TaskHeads", "number_groups", "save_task_folders", "temper_sizes"]


def temper_sizes(
    dataset: Dataset,
    *,
    sampling_temperature: float = 1.0,
    group_column: str = "domain_name",
    seed: int = 0,
) -> Dataset:
    r"""Repeat rows of small data sets, so that large ones do not drown them.

    .. math:: p_d = n_d^{1/T} \Big/ \sum_k n_k^{1/T}, \qquad
              m_d = \operatorname{round}\bigl(p_d \, \max_k n_k / p_k\bigr)

    with :math:`n_d` the rows of set *d* and :math:`m_d \ge n_d` their number after repeating
    (Arivazhagan et al. 2019; *T* = 5 there, 1 to 3 with few sets). No row is lost: an epoch covers
    the set that is repeated least once, and is longer than before.

    Args:
        dataset: All sets in one, from ``mix_domains``.
        sampling_temperature: *T*: 1 leaves the sizes as they are, infinity makes them equal.
        group_column: Column with the name of each row's set.
        seed: Seed for choosing the rows that are repeated once more than others.

    Raises:
        ConfigError: The temperature is below 1.
    """
    if not sampling_temperature >= 1:
        raise ConfigError(f"--sampling_temperature must be at least 1; got {sampling_temperature}")
    groups = np.asarray(dataset[group_column][:])
    sizes = Counter(groups.tolist())
    # p_d up to a factor, which cancels; an infinite temperature gives powers of 0.
    powers = {name: float(size) ** (1 / sampling_temperature) for name, size in sizes.items()}
    factor = max(size / powers[name] for name, size in sizes.items())
    generator = np.random.default_rng(seed)
    chosen = []
    for name in sizes:
        rows = np.flatnonzero(groups == name)
        wanted = round(powers[name] * factor)
        chosen.append(np.tile(rows, wanted // len(rows)))
        chosen.append(generator.choice(rows, wanted % len(rows), replace=False))
    return dataset.select(np.sort(np.concatenate(chosen)))


def number_groups(dataset: Dataset, *, group_column: str = "domain_name") -> Dataset:
    """Number the sets of a mixture, sorted by name, in the column ``group`` that losses read."""
    names = dataset[group_column][:]
    number = {name: position for position, name in enumerate(sorted(set(names)))}
    return dataset.add_column("group", [number[name] for name in names])


@dataclass(frozen=True)
class TaskHeads:
    """A head for each task, all in one output layer during training.

    The output layer has a row for every label of every task, ``sentiment/positive`` and so on. The
    loss of a training row covers only its own task's labels: its softmax does not see the others,
    so each task has its own head. In one layer, tasks share a batch and a forward pass, which is
    safe under DDP and FSDP. :func:`save_task_folders` separates them. The layers between encoder
    and output layer (a pooler, the dense layer of ModernBERT) are shared.

    Args:
        label_spaces: The labels of each task, by task name.

    Raises:
        ConfigError: There are fewer than two tasks.
        LabelSpaceError: A task has fewer than two labels.
    """

    label_spaces: Mapping[str, LabelSpace]

    def __post_init__(self) -> None:
        if len(self.label_spaces) < 2:
            raise ConfigError(
                "separate heads need two tasks or more, given as --source_train "
                f"sentiment=a.csv,topic=b.csv; got {', '.join(self.label_spaces) or 'none'}"
            )
        for name, space in self.label_spaces.items():
            if len(space) < 2:
                raise LabelSpaceError(
                    f"the task {name!r} has one label only ({space.names[0]}); it needs two"
                )

    @classmethod
    def from_data(cls, data: TransferData, args: TransferArguments) -> TaskHeads:
        """The heads of a run: the names in ``source_train``, each with the labels found there.

        Raises:
            ConfigError: A setting makes no sense with several heads, or a set of another role does
                not have the name of a task.
            LabelSpaceError: A set has labels that its task's training rows do not have.
        """
        _check_settings(data.task, args)
        args.adapter = "none"  # for large models too: heads are separated in a plain model
        spaces = {}
        for name in sorted(data.source_train):
            rows = [sets[name] for sets in (data.source_train, data.target_train) if name in sets]
            spaces[name] = LabelSpace.from_labels(label for part in rows for label in part["label"])
        for role in ("source_validation", "target_train", "target_test"):
            for name, part in getattr(data, role).items():
                if name not in spaces:
                    raise ConfigError(
                        f"--{role} {name!r} names no task; the tasks are {', '.join(spaces)}: "
                        f"write {next(iter(spaces))}=path"
                    )
                spaces[name].check_covers(part["label"], where=f"{role} {name!r}")
        return cls(spaces)

    @property
    def label_space(self) -> LabelSpace:
        """The labels of all tasks, ``task/label``."""
        names = [f"{name}/{label}" for name in self._names for label in self._labels(name)]
        return LabelSpace(tuple(names))

    @property
    def parts(self) -> dict[str, slice]:
        """The rows of the output layer that belong to each task."""
        ends = np.cumsum([len(self.label_spaces[name]) for name in self._names]).tolist()
        begins = [0, *ends[:-1]]
        return {n: slice(b, e) for n, b, e in zip(self._names, begins, ends, strict=True)}

    def task(self, task: Task) -> Task:
        """The task with the loss of several heads."""
        parts = tuple(self.parts.values())
        return replace(task, loss_per_row=partial(_loss_of_own_head, parts=parts))

    def join(self, dataset: Dataset) -> Dataset:
        """Turn the labels of a mixture into ``task/label``, by their ``domain_name``."""
        labels = [
            None if label is None else f"{name}/{label}"
            for name, label in zip(dataset["domain_name"], dataset["label"], strict=True)
        ]
        feature = dataset.features["label"]
        return dataset.remove_columns("label").add_column("label", labels, feature=feature)

    def as_one_task(self, data: TransferData) -> TransferData:
        """The data as one task with the labels of all.

        Validation rows are left out: no single score covers several tasks.
        """
        return replace(
            data,
            task=self.task(data.task),
            label_space=self.label_space,
            target_label_space=self.label_space,
            source_validation={},
            target_validation={},
        )

    def data_of(self, name: str, data: TransferData) -> TransferData:
        """The sets that one task is evaluated on, with its labels."""
        space = self.label_spaces[name]

        def own(sets: Mapping[str, Dataset]) -> dict[str, Dataset]:
            return {name: sets[name]} if sets.get(name) else {}

        return replace(
            data,
            label_space=space,
            target_label_space=space,
            source_validation=own(data.source_validation),
            target_test=own(data.target_test),
        )

    @property
    def _names(self) -> list[str]:
        return sorted(self.label_spaces)

    def _labels(self, name: str) -> tuple[str, ...]:
        return self.label_spaces[name].names


def _check_settings(task: Task, args: TransferArguments) -> None:
    """Refuse settings that make no sense with several heads."""
    if task.label_column != "label" or args.adapter not in (None, "none"):
        raise ConfigError(
            "separate heads are for the tasks sequence and pair and for full fine-tuning; got "
            f"--task {task.name} --adapter {args.adapter}"
        )
    if args.push_to_hub:
        raise ConfigError(
            "with separate heads every task has a folder: leave out --push_to_hub and push "
            "those you want with xlingual push"
        )
    if args.selection_language is not None:
        raise ConfigError(
            "with separate heads --selection takes last or average: no single score is the best "
            f"for all tasks; got {args.selection}"
        )


def _loss_of_own_head(
    logits: Tensor,
    labels: Tensor,
    *,
    parts: Sequence[slice],
    class_weights: Tensor | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    r"""Cross-entropy of each row over the labels of its own task.

    .. math:: \ell_i = -w_{y_i} \log \frac{e^{z_{i y_i}}}{\sum_{c \in T(i)} e^{z_{ic}}}
    """
    losses = []
    for part in parts:
        is_own = (labels >= part.start) & (labels < part.stop)
        losses.append(
            cross_entropy_per_row(
                logits[:, part],
                torch.where(is_own, labels - part.start, IGNORE_INDEX),
                class_weights=None if class_weights is None else class_weights[part],
                label_smoothing=label_smoothing,
            )
        )
    return torch.stack(losses).sum(dim=0)


def save_task_folders(
    trained: str | Path, heads: TaskHeads, output_dir: str | Path
) -> dict[str, Path]:
    """Split a model with all heads into a folder per task: the encoder and that task's head.

    Each folder loads with ``AutoModelForSequenceClassification`` and has its task's label names.
    Call it on one process.

    Args:
        trained: The folder that ``save_model`` wrote.
        heads: The heads in its output layer.
        output_dir: A folder is made in it for each task.

    Returns:
        The folders by task.

    Raises:
        LabelSpaceError: The folder was trained with other tasks or labels.
    """
    model: Any = AutoModelForSequenceClassification.from_pretrained(
        str(trained), dtype=torch.float32, use_safetensors=True
    )
    own = LabelSpace.from_id2label(model.config.id2label)
    if own != heads.label_space:
        raise LabelSpaceError(
            f"the model in {trained} has the labels {', '.join(own.names)}; expected "
            f"{', '.join(heads.label_space.names)}"
        )
    tokenizer = load_tokenizer(str(trained))
    layer = output_layer(model)
    prefix = next(name for name, module in model.named_modules() if module is layer)
    folders = {}
    for name, part in heads.parts.items():
        config = copy.deepcopy(model.config)
        space = heads.label_spaces[name]
        config.id2label, config.label2id = space.id2label, space.label2id
        single: Any = AutoModelForSequenceClassification.from_config(config)
        state = model.state_dict()
        for key in (f"{prefix}.weight", f"{prefix}.bias"):
            if key in state:
                state[key] = state[key][part].clone()
        single.load_state_dict(state)
        folders[name] = Path(output_dir) / name
        with folder_beside(folders[name]) as to:
            single.save_pretrained(to)
            tokenizer.save_pretrained(to)
    return folders
