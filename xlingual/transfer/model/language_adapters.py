"""Language and task adapters: learn the task over one language's adapter, then swap that adapter.

MAD-X (Pfeiffer et al. 2020) *stacks* a task adapter on a language adapter. LoRA pairs *add*:

.. math:: W = W_0 + B_{lang} A_{lang} + B_{task} A_{task}

so a swap is :math:`W - B_{en} A_{en} + B_{zh} A_{zh}` (Zhang et al. 2023, "Composing
Parameter-Efficient Modules with Arithmetic Operations").
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import peft
import torch
from accelerate import PartialState
from transformers import PreTrainedModel, set_seed

from xlingual.config.presets import preset_for
from xlingual.labels import LabelSpace
from xlingual.models.adapters import (
    ADAPTER_TENSOR,
    block_linears,
    load_adapter,
    write_readable_config,
)
from xlingual.models.loading import load_masked_model, load_model, load_tokenizer
from xlingual.models.parts import count_parameters
from xlingual.saving import folder_beside
from xlingual.tasks import Task
from xlingual.transfer.loop.continued_pretraining import continue_pretraining

__all__ = [
    "merge_language_adapter",
    "swap_language_adapter",
    "train_language_adapter",
    "train_language_encoder",
]

logger = logging.getLogger(__name__)


def train_language_adapter(
    model_name_or_path: str | None,
    texts: Sequence[str],
    *,
    output_dir: str | Path,
    rank: int = 16,
    learning_rate: float | None = None,
    seed: int = 0,
    revision: str | None = None,
    **settings: Any,
) -> str:
    """Train a LoRA pair in every linear layer of an encoder by masked prediction on one language.

    Everything else is frozen, including the masked-prediction head, so that only the adapter learns
    the language.

    Args:
        model_name_or_path: Folder or hub id with a masked-prediction head; None: the embedded one.
        texts: Text of one language, without labels.
        output_dir: The adapter goes here; checkpoints too, so that a killed run resumes.
        rank: r; the scale is 2r.
        learning_rate: Peak learning rate; None: the preset for adapters of an encoder of this size.
        seed: Seed of the initial weights, the order and the masks.
        revision: Branch, tag or commit on the hub.
        settings: Those of ``continue_pretraining``.

    Returns:
        ``output_dir``.

    Raises:
        DataError: There is no text.
        ModelLoadError: The model has no masked-prediction head, or cannot be loaded.
    """
    model = load_masked_model(model_name_or_path, revision=revision)
    embeddings = count_parameters(model.get_input_embeddings())
    if learning_rate is None:
        size = count_parameters(model.base_model) - embeddings
        learning_rate = preset_for(size).adapter_learning_rate
    set_seed(seed)
    config = peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=block_linears(model))
    return continue_pretraining(
        model_name_or_path,
        texts,
        output_dir=output_dir,
        learning_rate=learning_rate,
        seed=seed,
        revision=revision,
        model=peft.get_peft_model(model, config),
        **settings,
    )


def merge_language_adapter(
    model_name_or_path: str | None,
    adapter: str | Path,
    output_dir: str | Path,
    *,
    drop_last_layer: bool = False,
    revision: str | None = None,
) -> str:
    """Add a language adapter to its encoder and write the sum as an encoder to fine-tune from.

    Args:
        model_name_or_path: The encoder the adapter was trained on.
        adapter: Folder of the adapter.
        output_dir: The encoder of this language goes here.
        drop_last_layer: Leave the last layer as it was (Pfeiffer et al. 2021, "UNKs Everywhere",
            MAD-X 2.0): it is closest to the task and depends least on the language.
        revision: Branch, tag or commit on the hub.

    Returns:
        ``output_dir``.

    Raises:
        ModelLoadError: The encoder or the adapter cannot be loaded, or do not fit each other.
    """
    output = Path(output_dir)
    if PartialState().is_main_process:
        model = load_adapter(load_masked_model(model_name_or_path, revision=revision), adapter)
        if drop_last_layer:
            _drop_last_layer(model)
        merged: Any = model.merge_and_unload()
        tokenizer = load_tokenizer(model_name_or_path, revision=revision)
        with folder_beside(output) as beside:
            merged.save_pretrained(beside)
            tokenizer.save_pretrained(beside)
            write_readable_config(beside)
    PartialState().wait_for_everyone()
    return str(output)


def train_language_encoder(
    model_name_or_path: str | None,
    texts: Sequence[str],
    *,
    adapter_dir: str | Path,
    encoder_dir: str | Path,
    drop_last_layer: bool = False,
    revision: str | None = None,
    **settings: Any,
) -> str:
    """An encoder of one language: ``train_language_adapter``, then ``merge_language_adapter``.

    Args:
        model_name_or_path: Folder or hub id with a masked-prediction head; None: the embedded one.
        texts: Text of the language, without labels.
        adapter_dir: The adapter goes here.
        encoder_dir: The encoder with the adapter in it goes here.
        drop_last_layer: Leave the last layer as it was.
        revision: Branch, tag or commit on the hub.
        settings: Those of ``train_language_adapter``.

    Returns:
        ``encoder_dir``.

    Raises:
        DataError: There is no text.
        ModelLoadError: The model has no masked-prediction head, or cannot be loaded.
    """
    adapter = train_language_adapter(
        model_name_or_path, texts, output_dir=adapter_dir, revision=revision, **settings
    )
    return merge_language_adapter(
        model_name_or_path,
        adapter,
        encoder_dir,
        drop_last_layer=drop_last_layer,
        revision=revision,
    )


def swap_language_adapter(
    task_adapter: str | Path, encoder: str, *, task: Task, label_space: LabelSpace
) -> PreTrainedModel:
    """Put a task adapter on the encoder of another language, as one plain model.

    Args:
        task_adapter: Folder of a task adapter that was trained over the source's language adapter.
        encoder: Folder of the encoder with the other language's adapter in it.
        task: The task.
        label_space: Names of the labels.

    Returns:
        A model without PEFT: adapters added to the weights, head and label names in place.

    Raises:
        ModelLoadError: The adapter does not fit the encoder.
    """
    loaded = load_model(encoder, task=task, label_space=label_space)
    model = load_adapter(loaded.model, task_adapter)
    plain: Any = model.merge_and_unload()
    state = {
        name.replace(".modules_to_save.default.", "."): tensor
        for name, tensor in plain.state_dict().items()
        if ".original_module." not in name and not ADAPTER_TENSOR.search(name)
    }
    fresh = type(plain)(plain.config)
    fresh.load_state_dict(state)
    return fresh.eval()


def _block_number(name: str) -> int | None:
    return next((int(part) for part in name.split(".") if part.isdigit()), None)


def _drop_last_layer(model: peft.PeftModel) -> None:
    """Set the LoRA pairs of the last block to zero, so that they add nothing."""
    pairs = {name: p for name, p in model.named_parameters() if ".lora_B." in name}
    last = max(number for name in pairs if (number := _block_number(name)) is not None)
    with torch.no_grad():
        for name, parameter in pairs.items():
            if _block_number(name) == last:
                parameter.zero_()
