"""Models and tokenizers, loaded from a folder or a hub."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers
from safetensors import SafetensorError
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForMaskedLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from xlingual.errors import LabelSpaceError, ModelLoadError, XlingualError, first_line
from xlingual.labels import LabelSpace
from xlingual.models.checks import check_architecture
from xlingual.models.parts import head_module_names
from xlingual.models.pypi_encoders import local_path
from xlingual.tasks import Task

__all__ = [
    "LoadedModel",
    "embedded_encoder",
    "load_masked_model",
    "load_model",
    "load_tokenizer",
    "name_labels",
    "own_label_space",
    "quiet_load_report",
]

logger = logging.getLogger(__name__)


def embedded_encoder() -> str:
    """The folder of the bilingual English-Chinese encoder that ships with the package.

    It is a standard ModernBERT folder: ``AutoModel.from_pretrained(embedded_encoder())`` works.
    """
    return str(files("xlingual") / "assets" / "encoder")


class LoadedModel(NamedTuple):
    """A model, the label space of its head, and the names of its newly initialised parameters."""

    model: PreTrainedModel
    label_space: LabelSpace
    new_parameters: frozenset[str]


def load_model(
    model_name_or_path: str | None = None,
    *,
    task: Task,
    label_space: LabelSpace,
    revision: str | None = None,
) -> LoadedModel:
    """Load an encoder and put the head of a task on it.

    A checkpoint whose head has the same label names keeps its head and its order of labels. One
    with other names gets a new head, even if their number is the same: weights are never reused
    just because their shapes match. Weights are always loaded in float32: half precision is for
    storage and autocast, not for the weights that an optimizer updates.

    Args:
        model_name_or_path: A folder or a hub id; None takes the embedded encoder.
        task: Determines the class of the head.
        label_space: Names of the labels.
        revision: Branch, tag or commit on the hub.

    Raises:
        ModelLoadError: There is no such model, it cannot be reached, it is not a checkpoint in
            safetensors, or its architecture is not supported.
    """
    path = local_path(model_name_or_path) or embedded_encoder()
    auto_class = getattr(transformers, task.auto_class)
    with _load_errors(path), quiet_load_report():
        config = AutoConfig.from_pretrained(path, revision=revision)
        check_architecture(config, auto_class, path=path)
        checkpoint_space = LabelSpace.from_id2label(config.id2label)
        keeps_head = checkpoint_space.is_permutation_of(label_space)
        label_space = checkpoint_space if keeps_head else label_space
        config.id2label, config.label2id = label_space.id2label, label_space.label2id
        config.problem_type = task.problem_type
        model, info = auto_class.from_pretrained(
            path,
            config=config,
            revision=revision,
            dtype=torch.float32,
            use_safetensors=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    new = set(info["missing_keys"]) | {entry[0] for entry in info["mismatched_keys"]}
    if not keeps_head:
        new |= _swap_final_layer(model, auto_class, known_new=new)
    logger.info("new parameters, not in %s: %s", path, ", ".join(sorted(new)) or "none")
    return LoadedModel(model, label_space, frozenset(new))


def _swap_final_layer(model: PreTrainedModel, auto_class: Any, *, known_new: set[str]) -> set[str]:
    """Reinitialise the output layer of a checkpoint that was fine-tuned on other labels.

    A pretrained layer below it (the ``head`` of ModernBERT) is a good start and is kept.
    """
    final = [
        name
        for name, parameter in model.named_parameters()
        if name.split(".")[0] in head_module_names(model)
        and parameter.shape[0] == model.config.num_labels
        and name not in known_new
    ]
    if final:
        fresh = auto_class.from_config(model.config).state_dict()
        with torch.no_grad():
            for name in final:
                model.get_parameter(name).copy_(fresh[name])
        logger.warning("the checkpoint's head has other labels: it is replaced (%s)", final)
    return set(final)


def own_label_space(model: object) -> LabelSpace | None:
    """The labels that a loaded model's head was trained on; None if they have no names."""
    if not isinstance(model, nn.Module):
        return None
    config: Any = model.config
    space = LabelSpace.from_id2label(config.id2label)
    unnamed = tuple(f"LABEL_{position}" for position in range(len(space)))  # placeholders
    return None if space.names == unnamed else space


def name_labels(model: PreTrainedModel, label_space: LabelSpace) -> LabelSpace:
    """Match the labels of a loaded model's head with those of the data.

    Args:
        model: A model with a head; labels without names take those of ``label_space``.
        label_space: The labels of the data.

    Returns:
        The labels in the order of the head.

    Raises:
        LabelSpaceError: The head has different labels, or a different number of them.
    """
    own = own_label_space(model)
    if own is not None and own.is_permutation_of(label_space):
        return own
    if own is not None or model.config.num_labels != len(label_space):
        names = ", ".join(own.names) if own else f"{model.config.num_labels} without names"
        raise LabelSpaceError(
            f"the head of the model has other labels ({names}) than the data "
            f"({', '.join(label_space.names)}); give the model's folder instead of the loaded "
            "model for a new head, or set config.id2label if they mean the same"
        )
    model.config.id2label, model.config.label2id = label_space.id2label, label_space.label2id
    return label_space


def load_masked_model(
    model_name_or_path: str | None = None, *, revision: str | None = None
) -> PreTrainedModel:
    """Load an encoder with its masked-prediction head, in float32 for training.

    Args:
        model_name_or_path: A folder or a hub id; None takes the embedded encoder.
        revision: Branch, tag or commit on the hub.

    Raises:
        ModelLoadError: There is no such model, it cannot be reached, it is not a checkpoint in
            safetensors, or its architecture has no masked-prediction head.
    """
    path = model_name_or_path or embedded_encoder()
    with _load_errors(path), quiet_load_report():
        config = AutoConfig.from_pretrained(path, revision=revision)
        check_architecture(config, AutoModelForMaskedLM, path=path)
        model, info = AutoModelForMaskedLM.from_pretrained(
            path,
            config=config,
            revision=revision,
            dtype=torch.float32,
            use_safetensors=True,
            output_loading_info=True,
        )
    if info["missing_keys"]:
        logger.warning("the masked-prediction head is new: %s", sorted(info["missing_keys"]))
    return model


def load_tokenizer(
    model_name_or_path: str | None = None, *, revision: str | None = None
) -> PreTrainedTokenizerBase:
    """The tokenizer of a model folder or hub id; None takes the embedded encoder's.

    Raises:
        ModelLoadError: There is none, or it cannot be reached.
    """
    path = local_path(model_name_or_path) or embedded_encoder()
    with _load_errors(path):
        return AutoTokenizer.from_pretrained(path, revision=revision)


@contextmanager
def _load_errors(path: str) -> Iterator[None]:
    """Turn any loading error into one that says what to do."""
    try:
        yield
    except XlingualError:
        raise
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        if Path(path).is_dir():
            advice = (
                "the folder exists, but holds no model that can be read: expected "
                "config.json, model.safetensors (pickled weights are refused) and a tokenizer"
            )
        else:
            advice = (
                "it is not a local folder, and it was not found in the local cache or on a "
                "reachable hub; check the spelling, unset HF_HUB_OFFLINE, or set HF_ENDPOINT to a "
                "mirror"
            )
        raise ModelLoadError(
            f"cannot load the model {path!r}: {advice} ({first_line(error)})"
        ) from error


@contextmanager
def quiet_load_report() -> Iterator[None]:
    """Silence transformers' table of missing keys: a new head is expected, and logged here."""
    report = logging.getLogger("transformers.modeling_utils")

    # A filter rather than a level: with a level set on this logger, transformers checks its
    # sharding plan and warns about layers that were never meant to be sharded.
    def is_error(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR

    report.addFilter(is_error)
    try:
        yield
    finally:
        report.removeFilter(is_error)
