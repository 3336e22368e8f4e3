"""A transformers model as a ``Session``: arrays in, logits out."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors.torch import load_file
from torch import nn

from xlingual.config.precision import has_bf16
from xlingual.errors import ConfigError, ModelLoadError
from xlingual.models.adapters import load_adapter
from xlingual.models.loading import quiet_load_report
from xlingual.tasks import Task

__all__ = ["TorchSession", "load_torch_session"]

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class TorchSession:
    """Runs a PyTorch model on a device.

    Args:
        model: A model with a classification head.
        device: Where it runs.
        dtype: Type that it computes in; logits are always float32.
    """

    def __init__(self, model: nn.Module, *, device: torch.device, dtype: torch.dtype) -> None:
        self.model = model.eval().to(device=device, dtype=dtype)
        self.device = device
        self.dtype = dtype
        # An adapter's wrapper hides the inputs that the model inside it takes.
        unwrap: Any = getattr(model, "get_base_model", lambda: model)
        self._inputs = frozenset(inspect.signature(unwrap().forward).parameters)

    def __call__(self, batch: dict[str, np.ndarray]) -> np.ndarray:
        """Logits (rows, labels), or (rows, length, labels), of int64 arrays (rows, length)."""
        inputs = {
            name: torch.from_numpy(values).to(self.device)
            for name, values in batch.items()
            if name in self._inputs
        }
        with torch.inference_mode():
            logits = self.model(**inputs).logits
        return logits.float().cpu().numpy()


def load_torch_session(
    folder: Path, *, base: Path, config: Any, task: Task, device: str | None, precision: str
) -> TorchSession:
    """Load a full model, or a base with its adapter merged into it.

    Args:
        folder: The model or adapter.
        base: The folder of the base; the same folder if the base is saved beside the adapter.
        config: The model's config, with its labels.
        task: Decides the class of the head.
        device: ``"cpu"``, ``"cuda:1"``, ...; ``None``: the GPU if there is one.
        precision: ``"auto"`` is bfloat16 on a GPU that supports it, and float32 elsewhere.

    Raises:
        ModelLoadError: A parameter is missing, or the adapter does not fit its base.
        ConfigError: An unknown device or precision.
    """
    place, dtype = _device(device), _DTYPES.get(precision)
    if dtype is None and precision != "auto":
        known = ", ".join(["auto", *_DTYPES])
        raise ConfigError(f"precision must be one of {known}; got {precision!r}")
    if dtype is None:
        dtype = torch.bfloat16 if place.type == "cuda" and has_bf16(True) else torch.float32
    is_adapter = (folder / "adapter_config.json").is_file()
    model = _load_base(base, config=config, task=task, is_adapter=is_adapter)
    if is_adapter:
        model = _with_adapter(model, folder)
    return TorchSession(model, device=place, dtype=dtype)


def _device(name: str | None) -> torch.device:
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"the device {name!r} cannot be used here ({reason})") from error
    return device


def _load_base(base: Path, *, config: Any, task: Task, is_adapter: bool) -> nn.Module:
    auto_class = getattr(transformers, task.auto_class)
    is_beside_adapter = (base / "adapter_config.json").is_file()
    source: dict[str, Any] = {"pretrained_model_name_or_path": base, "use_safetensors": True}
    model_class = auto_class
    if is_beside_adapter:
        # From the folder, transformers would add the adapter without checking that it fits.
        model_class = auto_class._model_mapping[type(config)]
        source = {"pretrained_model_name_or_path": None, "state_dict": _state_dict(base)}
    with quiet_load_report():
        model, info = model_class.from_pretrained(
            **source,
            config=config,
            dtype=torch.float32,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    lost = sorted({*info["missing_keys"], *(entry[0] for entry in info["mismatched_keys"])})
    if lost and not is_adapter:
        raise ModelLoadError(
            f"{base} lacks {len(lost)} parameter(s) of {type(model).__name__}, which would be "
            f"random: {', '.join(lost[:4])}; train the model, or save all of it"
        )
    return model


def _state_dict(folder: Path) -> dict[str, torch.Tensor]:
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return load_file(folder / "model.safetensors")
    shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    return {name: value for shard in shards for name, value in load_file(folder / shard).items()}


def _with_adapter(model: Any, folder: Path) -> nn.Module:
    """Add an adapter to its base, and merge the two where that is faster."""
    import peft

    adapted = load_adapter(model, folder)
    # Merging saves the extra products of LoRA and DoRA. IA3 costs next to nothing as it is, and
    # PEFT (0.21) cannot merge it if a saved module, such as a pooler, has no weight of its own.
    if isinstance(adapted.base_model, peft.LoraModel):
        return adapted.base_model.merge_and_unload()
    return adapted
