"""Language and task adapters: the task is learnt over one language, which is then swapped.

MAD-X (Pfeiffer et al. 2020) *stacks* a task adapter on a language adapter. LoRA pairs *add*:

.. math:: W = W_0 + B_{lang} A_{lang} + B_{task} A_{task}

so a swap is :math:`W - B_{en} A_{en} + B_{zh} A_{zh}` (Zhang et al. 2023, "Composing
Parameter-Efficient Modules with Arithmetic Operations").
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peft
import torch
from accelerate import PartialState
from torch import nn
from transformers import AutoModelForMaskedLM, PreTrainedModel, set_seed

from xlingual.config.options import option
from xlingual.config.training import preset_for
from xlingual.errors import ConfigError, ModelLoadError
from xlingual.labels import LabelSpace
from xlingual.models.adapters import ADAPTER_TENSOR, write_readable_config
from xlingual.models.loading import count_parameters, embedded_encoder, load_model, load_tokenizer
from xlingual.models.pypi_encoders import local_path
from xlingual.saving import folder_beside
from xlingual.tasks import Task
from xlingual.transfer.loop.continued_pretraining import continue_pretraining

__all__ = [
    "LanguageAdapterArguments",
    "merge_language_adapter",
    "swap_language_adapter",
    "train_language_adapter",
]

logger = logging.getLogger(__name__)


@dataclass
class LanguageAdapterArguments:
    """How the two language adapters are trained and used."""

    language_adapter_epochs: float = option(5.0, "Passes over each language's text.")
    language_adapter_rank: int = option(16, "Rank of the language adapters.")
    language_adapter_learning_rate: float | None = option(
        None, "Peak learning rate of the language adapters; left out: by encoder size."
    )
    drop_last_layer: bool = option(
        False, "Leave the language adapter out of the last layer, as MAD-X 2.0 does."
    )
    guard: bool = option(
        True, "Keep the source's language adapter, or a zero-shot model, where the swap goes wrong."
    )
    zero_shot_model: str | None = option(
        None, "Folder or hub id of the zero-shot model that the guard may keep; left out: it is "
        "trained, with the same kind of adapter.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        if self.language_adapter_rank < 1 or self.language_adapter_epochs <= 0:
            raise ConfigError(
                "--language_adapter_rank must be at least 1 and --language_adapter_epochs above 0; "
                f"got {self.language_adapter_rank} and {self.language_adapter_epochs}"
            )

    def check_kind(self, task_adapter: str) -> None:
        """Refuse a task adapter that does not add up with the language's.

        Raises:
            ConfigError: It is not LoRA.
        """
        if task_adapter != "lora":
            raise ConfigError(
                "language and task adapters are LoRA pairs that add; expected --adapter lora, "
                f"got {task_adapter}"
            )


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

    Everything else is frozen: the head that predicts tokens as well, so that what the language
    needs goes into the adapter.

    Args:
        model_name_or_path: Folder or hub id with a masked-prediction head; None: the embedded one.
        texts: Text of one language, without labels.
        output_dir: The adapter goes here; checkpoints too, so that a killed run resumes.
        rank: r; the scale is 2r.
        learning_rate: Peak learning rate; None: that of adapters for an encoder of this size.
        seed: Seed of the first weights, of order and masks.
        revision: Branch, tag or commit on the hub.
        settings: Those of ``continue_pretraining``.

    Returns:
        ``output_dir``.

    Raises:
        DataError: There is no text.
        ModelLoadError: The model has no masked-prediction head, or cannot be loaded.
    """
    model = _masked_model(model_name_or_path, revision)
    embeddings = count_parameters(model.get_input_embeddings())
    if learning_rate is None:
        size = count_parameters(model.base_model) - embeddings
        learning_rate = preset_for(size).adapter_learning_rate
    set_seed(seed)
    config = peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=_block_linears(model))
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
            MAD-X 2.0): closest to the task, it depends on the language least.
        revision: Branch, tag or commit on the hub.

    Returns:
        ``output_dir``.

    Raises:
        ModelLoadError: The encoder or the adapter cannot be loaded, or do not fit each other.
    """
    output = Path(output_dir)
    if PartialState().is_main_process:
        model = _with_adapter(_masked_model(model_name_or_path, revision), adapter)
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
    model = _with_adapter(loaded.model, task_adapter)
    plain: Any = model.merge_and_unload()
    state = {
        name.replace(".modules_to_save.default.", "."): tensor
        for name, tensor in plain.state_dict().items()
        if ".original_module." not in name and not ADAPTER_TENSOR.search(name)
    }
    fresh = type(plain)(plain.config)
    fresh.load_state_dict(state)
    return fresh.eval()


def _masked_model(path: str | None, revision: str | None) -> Any:
    name = local_path(path) or embedded_encoder()
    try:
        return AutoModelForMaskedLM.from_pretrained(
            name, revision=revision, dtype=torch.float32, use_safetensors=True
        )
    except (OSError, ValueError) as error:
        raise ModelLoadError(
            f"cannot load {name} for masked prediction: {str(error).splitlines()[0]}"
        ) from error


def _with_adapter(model: Any, adapter: str | Path) -> peft.PeftModel:
    try:
        return peft.PeftModel.from_pretrained(model, str(adapter), is_trainable=False)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelLoadError(
            f"the adapter {adapter} is missing or was trained on another encoder than "
            f"{model.name_or_path} ({reason}); expected a folder with adapter_config.json and "
            "adapter_model.safetensors"
        ) from error


def _block_linears(model: Any) -> list[str]:
    """Full names of the linear layers inside the encoder's blocks."""
    prefix = model.base_model_prefix
    return [
        f"{prefix}.{name}"
        for name, module in model.base_model.named_modules()
        if isinstance(module, nn.Linear) and _block_number(name) is not None
    ]


def _block_number(name: str) -> int | None:
    return next((int(part) for part in name.split(".") if part.isdigit()), None)


def _drop_last_layer(model: peft.PeftModel) -> None:
    """Make the pairs of the last block add nothing."""
    pairs = {name: p for name, p in model.named_parameters() if ".lora_B." in name}
    last = max(number for name in pairs if (number := _block_number(name)) is not None)
    with torch.no_grad():
        for name, parameter in pairs.items():
            if _block_number(name) == last:
                parameter.zero_()
