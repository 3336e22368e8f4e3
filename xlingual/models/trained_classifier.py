"""The labels of a trained classifier that replaces source data, or training on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from transformers import AutoConfig

from xlingual.data import TransferData
from xlingual.errors import ConfigError, ModelLoadError, first_line
from xlingual.labels import LabelSpace
from xlingual.models.pypi_encoders import local_path
from xlingual.tasks import Task, get_task

__all__ = ["trained_label_space", "with_labels_of"]


def trained_label_space(
    model_name_or_path: str | None, *, task: str | Task = "sequence", revision: str | None = None
) -> LabelSpace:
    """The label names of a trained classifier, from its ``config.json``.

    Args:
        model_name_or_path: The folder of a result, or a hub id.
        task: The task that the classifier must be for.
        revision: Branch, tag or commit on the hub.

    Raises:
        ConfigError: No model is given, or it is an adapter, an encoder without a trained head, or
            multi-label.
        ModelLoadError: There is no such model.
    """
    the_task = get_task(task) if isinstance(task, str) else task
    path = local_path(model_name_or_path)
    if path is None:
        raise ConfigError(
            "this recipe adapts a trained classifier: give its folder with --model_name_or_path, "
            "for example the --output_dir of zero_shot"
        )
    config = _trained_config(path, the_task, revision=revision)
    if "multi_label_classification" in (the_task.problem_type, config.problem_type):
        raise ConfigError(
            f"{path} is multi-label; expected a trained classifier with one label per row, for "
            "example the --output_dir of zero_shot"
        )
    return LabelSpace.from_id2label(config.id2label)


def with_labels_of(zero_shot_model: str | None, data: TransferData) -> TransferData:
    """Number the labels of the data as a trained model numbers them.

    Labels are matched by name, so that an id means the same to this model and to those trained
    beside it.

    Args:
        zero_shot_model: The folder of a trained classifier, or a hub id; None: nothing changes.
        data: The data that the model was, or could have been, trained on.

    Raises:
        ConfigError: The model is an adapter or an encoder without a trained head, is for another
            task, or has labels that differ from the source's.
        ModelLoadError: There is no such model.
    """
    if zero_shot_model is None:
        return data
    config = _trained_config(zero_shot_model, data.task)
    own, multi_label = LabelSpace.from_id2label(config.id2label), "multi_label_classification"
    if not own.is_permutation_of(data.label_space):
        raise ConfigError(
            f"--zero_shot_model {zero_shot_model} has the labels {', '.join(own.names)}; expected "
            f"those of the source, {', '.join(data.label_space.names)}; give a model that was "
            "trained on this source, or rename the data's labels with --label_map"
        )
    if (config.problem_type == multi_label) != (data.task.problem_type == multi_label):
        raise ConfigError(
            f"--zero_shot_model {zero_shot_model} is for {config.problem_type}; expected one "
            f"trained for --task {data.task.name}"
        )
    is_shared = data.target_label_space == data.label_space
    target = own if is_shared else data.target_label_space
    return replace(data, label_space=own, target_label_space=target)


def _trained_config(path: str, task: Task, *, revision: str | None = None) -> Any:
    """The ``config.json`` of a classifier with a trained head."""
    if Path(path, "adapter_config.json").is_file():
        raise ConfigError(
            f"{path} is an adapter, expected a plain model: write one with "
            f"'xlingual merge {path} MERGED' and give that"
        )
    try:
        config: Any = AutoConfig.from_pretrained(path, revision=revision)
    except (OSError, ValueError, KeyError) as error:
        raise ModelLoadError(
            f"cannot read the model {path!r}: expected a folder with config.json and "
            f"model.safetensors, or a hub id ({first_line(error)})"
        ) from error
    wanted = task.auto_class.removeprefix("AutoModel")
    kinds = list(config.architectures or [])
    if not any(kind.endswith(wanted) for kind in kinds):
        raise ConfigError(
            f"{path} is {', '.join(kinds) or 'without an architecture'}; expected a trained "
            f"classifier (...{wanted}), for example the --output_dir of zero_shot"
        )
    return config
