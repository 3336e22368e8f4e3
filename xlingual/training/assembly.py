"""The parts of a ``TransferTrainer``: model, adapter, objective, selection metric."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, TypeAlias

from datasets import Dataset
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from xlingual.config.presets import preset_for
from xlingual.config.training import TransferArguments
from xlingual.data import label_space_of
from xlingual.errors import ConfigError
from xlingual.labels import LabelSpace
from xlingual.models.adapters import add_adapter
from xlingual.models.loading import LoadedModel, load_model, name_labels, own_label_space
from xlingual.models.parts import count_parameters, freeze
from xlingual.tasks import Task
from xlingual.training.class_weights import resolve_class_weights
from xlingual.training.objective import Objective
from xlingual.transfer.loss.base import CombinedLoss, TransferLoss

logger = logging.getLogger(__name__)

__all__ = ["EvalDatasets", "adapted_model", "make_objective", "model_with_head", "selection_metric"]

EvalDatasets: TypeAlias = "Dataset | dict[str, Dataset] | None"


def model_with_head(
    model: PreTrainedModel | str | None,
    *,
    task: Task,
    label_space: LabelSpace | None,
    train_dataset: Dataset | None,
    revision: str | None,
) -> LoadedModel:
    """The model with the task's head; a model that is loaded already keeps its own head."""
    names = label_space or own_label_space(model) or label_space_of(train_dataset, task)
    if isinstance(model, nn.Module):
        return LoadedModel(model, name_labels(model, names), frozenset())
    return load_model(model, task=task, label_space=names, revision=revision)


def adapted_model(
    loaded: LoadedModel, args: TransferArguments, *, task: Task, num_rows: int
) -> nn.Module:
    """Fill the preset for the model's size into ``args``, freeze parameters, add the adapter."""
    model = loaded.model
    embeddings = count_parameters(model.get_input_embeddings())
    preset = preset_for(count_parameters(model.base_model) - embeddings)
    is_open = args.adapter is None
    args.apply_preset(preset, num_rows=num_rows)
    if is_open and args.adapter != "none":
        logger.warning(
            "the encoder is %s: an adapter (%s) is trained instead of the whole model; "
            "--adapter none trains the whole model",
            preset.name,
            args.adapter,
        )
    freeze(model, embeddings=bool(args.freeze_embeddings), encoder=args.freeze_encoder)
    if args.adapter in (None, "none") or hasattr(model, "peft_config"):
        return model
    return add_adapter(
        model,
        kind=args.adapter,
        task=task,
        new_parameters=loaded.new_parameters,
        rank=args.adapter_rank,
        alpha=args.adapter_alpha,
        dropout=args.adapter_dropout,
        target_modules=args.adapter_target_modules,
    )


def make_objective(
    model: nn.Module,
    args: TransferArguments,
    *,
    task: Task,
    label_space: LabelSpace,
    tokenizer: PreTrainedTokenizerBase,
    train_dataset: Dataset | None,
    transfer_loss: TransferLoss | Sequence[TransferLoss] | None,
) -> Objective:
    """The loss of a step; a transfer loss becomes part of the model."""
    pad_token_id = int(tokenizer.pad_token_id or 0)
    if isinstance(transfer_loss, Sequence):
        transfer_loss = CombinedLoss(transfer_loss, pad_token_id=pad_token_id)
    if transfer_loss is not None and args.ddp_find_unused_parameters is None:
        # DDP looks for unused parameters at the end of the forward pass, before the loss has used
        # its own, and would then count them twice.
        args.ddp_find_unused_parameters = False
    return Objective(
        model,
        task=task,
        transfer_loss=transfer_loss,
        class_weights=resolve_class_weights(
            args.class_weights, train_dataset, task=task, label_space=label_space
        ),
        label_smoothing=args.label_smoothing_factor,
        soft_label_weight=args.soft_label_weight,
        kd_temperature=args.kd_temperature,
        pad_token_id=pad_token_id,
    )


def selection_metric(args: TransferArguments, eval_dataset: Any, *, task: Task) -> str:
    """The metric key that selection watches, checked before the first step.

    Raises:
        ConfigError: No evaluation set has the name of the language that selection needs.
    """
    language = args.selection_language
    names = list(eval_dataset) if isinstance(eval_dataset, dict) else []
    if language not in names:
        raise ConfigError(
            f"--selection {args.selection} needs an evaluation set named {language!r}; "
            f"got {', '.join(names) or 'none by name'}; give --source_validation (source_dev) "
            "or --target_validation (target_dev)"
        )
    return f"eval_{language}_{task.primary_metric}"
