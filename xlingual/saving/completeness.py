"""Check that a saved folder holds every parameter that it must."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import peft
from safetensors import safe_open
from torch import Tensor, nn
from transformers import AutoConfig
from transformers.core_model_loading import revert_weight_conversion

from xlingual.errors import SaveError

__all__ = ["check_complete", "plain_name", "stored_shapes"]

_TRANSFER_LOSS = "transfer_loss"
_WRAPPERS = re.compile(r"(?:^|(?<=\.))(?:_orig_mod|_fsdp_wrapped_module)\.")
_OF_PEFT = re.compile(
    r"^base_model\.model\.|\.modules_to_save(?:\.default)?(?=\.)|\.default(?=\.|$)"
)


def check_complete(
    model: Any,
    folder: str | Path,
    *,
    new_parameters: Collection[str] = (),
    state: Mapping[str, Tensor] | None = None,
) -> None:
    """Refuse a saved folder that lacks a parameter which is stored nowhere else.

    A full model must hold every parameter; an adapter must hold those that were trained
    (``requires_grad``), those that were newly initialised, and an embedding table that was resized.
    One name of tied parameters is enough. A transfer loss is not part of the model.

    Args:
        model: The model as it was saved.
        folder: Where it was saved.
        new_parameters: Names of newly initialised parameters, without the adapter's prefixes.
        state: The full state, if the model's own parameters are shards of it.

    Raises:
        SaveError: A parameter is missing or has another shape; the message names it.
    """
    stored = stored_shapes(folder)
    lost = []
    for names, shape in _needed(model, frozenset(new_parameters), state):
        found = [stored[name] for name in names if name in stored]
        if not found:
            lost.append(names[0])
        elif shape is not None and shape not in found:
            lost.append(f"{names[0]} (shape {found[0]} instead of {shape})")
    if lost:
        shown = ", ".join(lost[:6]) + (f" and {len(lost) - 6} more" if len(lost) > 6 else "")
        raise SaveError(
            f"{len(lost)} parameter(s) that were trained or newly initialised are missing from "
            f"{folder} and would be random after loading: {shown}; for an adapter, name their "
            "modules in modules_to_save and keep --save_base_model true, and report this"
        )


def stored_shapes(folder: str | Path) -> dict[str, tuple[int, ...]]:
    """Shapes of all tensors in a folder's safetensors, by plain name; only headers are read."""
    shapes: dict[str, tuple[int, ...]] = {}
    for pattern in ("adapter_model*.safetensors", "model*.safetensors"):
        for path in sorted(Path(folder).glob(pattern)):
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118  (no mapping)
                    shapes.setdefault(plain_name(name), tuple(file.get_slice(name).get_shape()))
    return shapes


def plain_name(name: str) -> str:
    """A parameter's name without the parts that compilation, FSDP and PEFT add."""
    name = _OF_PEFT.sub("", _WRAPPERS.sub("", name))
    name = name.replace(".base_layer.", ".").replace(".original_module.", ".")
    # PEFT drops the suffix of this name in its file.
    return name.removesuffix(".weight") if "lora_magnitude_vector" in name else name


def _needed(
    model: Any, new: frozenset[str], state: Mapping[str, Tensor] | None
) -> list[tuple[list[str], tuple[int, ...] | None]]:
    """The names that each parameter may be stored under, and its shape if it is known."""
    is_adapter = isinstance(model, peft.PeftModel)
    resized = _resized_embeddings(model) if is_adapter else set()
    tied: dict[int, list[tuple[str, nn.Parameter]]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if _TRANSFER_LOSS not in name:
            tied.setdefault(id(parameter), []).append((name, parameter))
    # transformers renames the parameters of some models when it saves them.
    renamed = {} if is_adapter or state is not None else _names_on_disk(model)
    whole = {plain_name(name): tuple(tensor.shape) for name, tensor in (state or {}).items()}
    needed = []
    for entries in tied.values():
        names = [plain_name(name) for name, _ in entries]
        parameter = entries[0][1]
        is_own = parameter.requires_grad or not {*names}.isdisjoint(new | resized)
        # The untrained original beside a module that is saved in full is a placeholder.
        if any(".original_module." in name for name, _ in entries):
            continue
        if is_own or not is_adapter:
            shape = whole.get(names[0]) if state is not None else tuple(parameter.shape)
            known = [renamed[name] for name in names if name in renamed] or names
            needed.append((known, shape))
    return needed


def _names_on_disk(model: Any) -> dict[str, str]:
    """Names on disk by names in memory, of parameters that transformers only renames."""
    parameters = {plain_name(n): p.data for n, p in model.named_parameters(remove_duplicate=False)}
    if not getattr(model, "_weight_conversions", None):
        return {}
    by_storage = {
        (tensor.data_ptr(), tuple(tensor.shape)): name
        for name, tensor in revert_weight_conversion(model, parameters).items()
    }
    found = {
        name: by_storage.get((tensor.data_ptr(), tuple(tensor.shape)))
        for name, tensor in parameters.items()
    }
    return {name: stored for name, stored in found.items() if stored is not None}


def _resized_embeddings(model: peft.PeftModel) -> set[str]:
    """The embedding table, if its vocabulary is no longer that of the base on disk."""
    base: Any = model.get_base_model()
    if not Path(str(base.name_or_path), "config.json").is_file():
        return set()
    table = base.get_input_embeddings().weight
    if AutoConfig.from_pretrained(base.name_or_path).vocab_size == table.shape[0]:
        return set()
    return {plain_name(name) for name, value in base.named_parameters() if value is table}
