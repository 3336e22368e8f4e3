"""PEFT adapters: small trainable inserts, with defaults that fit the common encoders."""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from pathlib import Path
from typing import Any

import peft
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from xlingual.config.options import ADAPTERS
from xlingual.errors import ConfigError, ModelLoadError, first_line
from xlingual.models.parts import head_module_names
from xlingual.tasks import Task
from xlingual.writing import write_json

__all__ = [
    "ADAPTER_TENSOR",
    "add_adapter",
    "base_fingerprint",
    "block_linears",
    "complete_saved_model",
    "load_adapter",
    "save_base_model",
    "write_readable_config",
]


# IA3 rescales keys, values and the inner activation of the feed-forward block (Liu et al. 2022).
# The names are those of BERT / XLM-R / ELECTRA, DeBERTa, ModernBERT and the decoders; ModernBERT's
# Wqkv and GPT-2's c_attn hold all three.
_IA3_ATTENTION = (
    "key", "value", "key_proj", "value_proj", "Wqkv", "k_lin", "v_lin", "k_proj", "v_proj",
    "c_attn",
)  # fmt: skip
_IA3_FEEDFORWARD = ("output.dense", "mlp.Wo", "ffn.lin2", "mlp.down_proj", "mlp.c_proj")
_IA3_NOT_FEEDFORWARD = ("attention.output.dense",)

_FINGERPRINT_SAMPLES = 1024
_ADAPTER_FILE = "adapter_model.safetensors"

ADAPTER_TENSOR = re.compile(r"\.(?:lora|ia3)_")


def add_adapter(
    model: PreTrainedModel,
    *,
    kind: str,
    task: Task,
    new_parameters: frozenset[str] = frozenset(),
    rank: int = 16,
    alpha: int | None = None,
    dropout: float = 0.0,
    target_modules: list[str] | None = None,
) -> peft.PeftModel:
    r"""Freeze a model and insert an adapter of the given kind.

    LoRA (Hu et al. 2022) adds :math:`\frac{\alpha}{r} B A` to a weight; DoRA (Liu et al. 2024)
    also trains its magnitude; IA3 (Liu et al. 2022) rescales activations. The head and every other
    module with newly initialised parameters (a pooler, a dense layer) are trained in full and saved
    with the adapter. PEFT by itself saves only modules called ``classifier`` or ``score``, so a
    reloaded model would predict at random.

    Args:
        model: An encoder with a head.
        kind: ``"lora"``, ``"dora"`` or ``"ia3"``.
        task: Tells PEFT the kind of head.
        new_parameters: Names of freshly initialised parameters.
        rank: r; 16 on all linear layers does as well as larger ones on this kind of task.
        alpha: Scale; None: twice the rank.
        dropout: Dropout before A.
        target_modules: Suffixes of module names; None: all linear layers of the encoder's blocks
            (IA3: keys, values and the feed-forward output).

    Raises:
        ConfigError: The kind is unknown, or no module matches.
    """
    targets = target_modules or _default_targets(model, kind)
    is_transposed = any(isinstance(module, Conv1D) for module in model.modules())  # GPT-2
    common: dict[str, Any] = {
        "task_type": peft.TaskType.TOKEN_CLS if task.name == "token" else peft.TaskType.SEQ_CLS,
        "target_modules": targets,
        "modules_to_save": _modules_to_save(model, new_parameters),
    }
    config: peft.PeftConfig
    if kind in ("lora", "dora"):
        config = peft.LoraConfig(
            r=rank,
            lora_alpha=alpha if alpha is not None else 2 * rank,
            lora_dropout=dropout,
            use_dora=kind == "dora",
            fan_in_fan_out=is_transposed,
            **common,
        )
    elif kind == "ia3":
        feedforward = [name for name in targets if name.endswith(_IA3_FEEDFORWARD)]
        config = peft.IA3Config(
            feedforward_modules=feedforward, fan_in_fan_out=is_transposed, **common
        )
    else:
        raise ConfigError(f"unknown adapter {kind!r}; expected one of {', '.join(ADAPTERS)}")
    try:
        return peft.get_peft_model(model, config)
    except ValueError as error:
        raise ConfigError(
            f"the adapter found none of the modules {targets} in {type(model).__name__}; "
            f"name linear layers of it with --adapter_target_modules ({error})"
        ) from error


def block_linears(model: PreTrainedModel) -> list[str]:
    """Full names of the linear layers inside the encoder's blocks (a pooler is not one)."""
    prefix = model.base_model_prefix
    return [
        f"{prefix}.{name}"
        for name, module in model.base_model.named_modules()
        if isinstance(module, (nn.Linear, Conv1D)) and any(map(str.isdigit, name.split(".")))
    ]


def _default_targets(model: PreTrainedModel, kind: str) -> list[str]:
    linear = block_linears(model)
    if kind != "ia3":
        return linear
    return [
        name
        for name in linear
        if name.rsplit(".", 1)[-1] in _IA3_ATTENTION
        or (name.endswith(_IA3_FEEDFORWARD) and not name.endswith(_IA3_NOT_FEEDFORWARD))
    ]


def _modules_to_save(model: PreTrainedModel, new_parameters: frozenset[str]) -> list[str]:
    """The head's modules, and the encoder's top modules that hold new parameters."""
    modules = set(head_module_names(model))
    for name in new_parameters:
        first, *rest = name.split(".")
        if first == model.base_model_prefix and rest:
            modules.add(rest[0])
    return sorted(modules)


def load_adapter(model: PreTrainedModel, folder: str | Path) -> peft.PeftModel:
    """Put a saved adapter on its base model, for prediction.

    PEFT warns about parameters missing from the file but not about those missing from the model.
    Either means that the base is not the model, or not the revision, that the adapter was trained
    on.

    Args:
        model: The base, with a head of the right size; modified in place.
        folder: A folder with ``adapter_config.json`` and ``adapter_model.safetensors``.

    Raises:
        ModelLoadError: The adapter is missing, or does not fit the base.
    """
    try:
        saved = {_stored_name(name) for name in load_file(Path(folder) / _ADAPTER_FILE)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            adapted = peft.PeftModel.from_pretrained(model, str(folder))
            state = peft.get_peft_model_state_dict(adapted, save_embedding_layers=False)
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise ModelLoadError(
            f"the adapter {folder} is missing or does not fit its base model "
            f"{model.name_or_path}; expected adapter_config.json and {_ADAPTER_FILE} there, and "
            f"the model and revision that it was trained on ({first_line(error)})"
        ) from error
    differing = saved ^ {_stored_name(name) for name in state}
    differing = {name for name in differing if "embed" not in name or "lora" in name}
    if differing:
        raise ModelLoadError(
            f"the adapter {folder} does not fit its base model {model.name_or_path}; is it another "
            f"revision? (parameters on one side only: {min(differing)}, ...)"
        )
    return adapted


def _stored_name(name: str) -> str:
    """The name in the file; only some files end DoRA's magnitudes in ``.weight``."""
    return name.removesuffix(".weight") if "lora_magnitude_vector" in name else name


def complete_saved_model(model: nn.Module, folder: str | Path, *, save_base: bool) -> None:
    """Make a folder that ``Trainer`` has just written self-contained, with readable label names.

    Args:
        model: The model in the folder, with or without an adapter.
        folder: Where it was saved.
        save_base: Whether to save the base model beside an adapter.
    """
    if isinstance(model, peft.PeftModel):
        _complete_adapter_file(model, Path(folder) / _ADAPTER_FILE)
        _name_revision(model, Path(folder) / "adapter_config.json")
        if save_base:
            save_base_model(model, folder)
    write_readable_config(folder)


def write_readable_config(folder: str | Path) -> None:
    """Rewrite ``config.json`` without escapes; transformers escapes Chinese characters."""
    config = Path(folder) / "config.json"
    if config.is_file():
        write_json(config, json.loads(config.read_text(encoding="utf-8")))


def _complete_adapter_file(model: peft.PeftModel, path: Path) -> None:
    """Store DoRA's magnitudes under their full names, and metadata that identifies the base.

    PEFT drops the suffix ``.weight`` when it saves and adds it when it loads. transformers does not
    (``AutoModel.from_pretrained`` of an adapter, 5.23): it would start from fresh magnitudes and
    only list them in a table in the log. Both read the full name.
    """
    if not path.is_file():
        return
    state = load_file(path)
    short = [name for name in state if name.endswith(".lora_magnitude_vector")]
    state |= {f"{name}.weight": state.pop(name) for name in short}
    config: Any = model.get_base_model().config
    names = [config.id2label[position] for position in sorted(config.id2label)]
    metadata = {
        "format": "pt",
        "base_fingerprint": base_fingerprint(model),
        "label_names": json.dumps(names, ensure_ascii=False),
        "problem_type": config.problem_type or "",
    }
    save_file(state, path, metadata=metadata)


def _name_revision(model: peft.PeftModel, path: Path) -> None:
    """Record the commit of a base that came from a hub: a branch may move on."""
    commit = getattr(model.get_base_model().config, "_commit_hash", None)
    if commit and path.is_file():
        content = json.loads(path.read_text(encoding="utf-8"))
        content["revision"] = commit
        write_json(path, content)


def base_fingerprint(model: peft.PeftModel) -> str:
    """A digest of sampled frozen weights of the base; it differs between revisions.

    Modules that the adapter stores in full are left out: in the base they may be random.
    """
    digest = hashlib.sha256()
    base: Any = model.get_base_model()
    for name, weight in sorted(base.named_parameters(), key=lambda item: item[0]):
        own = (".modules_to_save.", ".original_module.", "transfer_loss")
        if ADAPTER_TENSOR.search(name) or any(part in f".{name}" for part in own):
            continue
        flat = weight.detach().flatten()
        sample = flat[:: max(1, flat.numel() // _FINGERPRINT_SAMPLES)].float().cpu().contiguous()
        digest.update(f"{name.replace('.base_layer.', '.')} {tuple(weight.shape)}".encode())
        digest.update(sample.numpy().tobytes())
    return digest.hexdigest()


def save_base_model(model: peft.PeftModel, folder: str | Path) -> None:
    """Write the untouched base model and its config with the label names beside an adapter.

    With ``config.json`` and ``model.safetensors`` in the adapter's folder,
    ``AutoModelForSequenceClassification.from_pretrained(folder)`` and ``pipeline`` load base,
    adapter and head together, with the right labels, on a machine that has no other copy of the
    base. The head in the base file is only a placeholder: the adapter holds the trained one.
    """
    base: Any = model.get_base_model()
    clean = {
        name.replace(".base_layer.", ".").replace(".original_module.", "."): tensor
        for name, tensor in base.state_dict().items()
        if ".modules_to_save." not in name
        and "transfer_loss." not in name
        and not ADAPTER_TENSOR.search(name)
    }
    base.save_pretrained(folder, state_dict=clean)
