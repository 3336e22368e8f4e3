"""Remove the rows of dropped tokens from safetensors files, without building the model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModel

from xlingual.errors import ModelLoadError

__all__ = ["cut_weights", "stored_parameters", "weight_files"]

_INDEX = "model.safetensors.index.json"
_CHUNK = 16_384


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model, one or several shards.

    Raises:
        ModelLoadError: There is none; pickled weights are refused.
    """
    if (folder / _INDEX).is_file():
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        return [folder / name for name in sorted(set(index["weight_map"].values()))]
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    pickled = [p.name for p in folder.iterdir() if p.suffix in (".bin", ".pt", ".pth", ".ckpt")]
    if pickled:
        raise ModelLoadError(
            f"{folder} has pickled weights ({pickled[0]}), which are refused; expected "
            "model.safetensors: save it again with a current transformers"
        )
    raise ModelLoadError(f"{folder} has no weights; expected model.safetensors")


def stored_parameters(files: list[Path]) -> int:
    """The number of parameters in the files."""
    total = 0
    for file in files:
        with safe_open(file, "pt") as tensors:
            shapes = [tensors.get_slice(name).get_shape() for name in tensors.keys()]  # noqa: SIM118
        total += sum(torch.Size(shape).numel() for shape in shapes)
    return total


def cut_weights(folder: Path, output: Path, *, rows: list[int], num_rows: int) -> None:
    """Write the weights with only the given rows of every tensor that has one row per token.

    These tensors are not guessed by name: the model is built twice on the meta device with two
    vocabulary sizes, and a tensor whose shape changes has one row per token. Tied weights are
    stored once and stay tied; untied ones are cut in the same way.

    Args:
        folder: The model.
        output: The folder to write to.
        rows: Old ids of the kept tokens in their new order, which may differ from the old one.
        num_rows: ``config.vocab_size`` of the old model.

    Raises:
        ModelLoadError: The size of a tensor contradicts the config.
    """
    axes = _token_axes(folder, num_rows)
    index = torch.tensor(rows)  # new -> old
    for file in weight_files(folder):
        kept: dict[str, torch.Tensor] = {}
        with safe_open(file, "pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118
                shape = tensors.get_slice(name).get_shape()
                axis = _axis_of(name, shape, axes, num_rows)
                if axis is not None and shape[axis] != num_rows:
                    raise ModelLoadError(
                        f"{file.name}: {name} has {shape[axis]:,} rows, but config.vocab_size is "
                        f"{num_rows:,}; save the model again with a current transformers"
                    )
                kept[name] = _take(tensors, name, axis, index)
            metadata = tensors.metadata()
        save_file(kept, output / file.name, metadata=metadata or {"format": "pt"})
        shutil.copymode(file, output / file.name)  # save_file lets only the owner read it
    if (folder / _INDEX).is_file():
        _write_index(folder, output)


def _take(tensors: Any, name: str, axis: int | None, index: torch.Tensor) -> torch.Tensor:
    if axis is None:
        return tensors.get_tensor(name)
    if axis:
        return tensors.get_tensor(name).index_select(axis, index).contiguous()
    part = tensors.get_slice(name)  # in chunks: the table may not fit in memory twice
    ascending, order = index.sort()
    starts = range(0, int(ascending[-1]) + 1, _CHUNK)
    taken = [
        part[s : s + _CHUNK][ascending[(ascending >= s) & (ascending < s + _CHUNK)] - s]
        for s in starts
    ]
    table = torch.cat(taken)
    return table if torch.equal(ascending, index) else table[order.argsort()]


def _token_axes(folder: Path, num_rows: int) -> dict[str, int | None]:
    """Tensor name -> the axis that grows with the vocabulary, None for all others."""
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        name = next(iter(config.architectures or []), "")
        shapes = [_shapes(config, name, size) for size in (num_rows, num_rows + 8)]
    except (KeyError, TypeError, ValueError) as error:
        raise ModelLoadError(
            f"{folder}: transformers cannot build this model ({str(error).splitlines()[0]}); "
            "code from the folder is never run"
        ) from error
    axes: dict[str, int | None] = {}
    for key, shape in shapes[0].items():
        changed = [n for n, (a, b) in enumerate(zip(shape, shapes[1][key], strict=True)) if a != b]
        axes[key] = changed[0] if changed else None
    if not any(axis is not None for axis in axes.values()):
        raise ModelLoadError(f"{folder}: no weight of {name or 'the model'} has one row per token")
    return axes


def _shapes(config: Any, name: str, num_rows: int) -> dict[str, torch.Size]:
    config.vocab_size = num_rows
    auto: Any = getattr(transformers, name, None)
    with torch.device("meta"):
        model = auto._from_config(config) if auto else AutoModel.from_config(config)
    return {key: tensor.shape for key, tensor in model.state_dict().items()}


def _axis_of(name: str, shape: Any, axes: dict[str, int | None], num_rows: int) -> int | None:
    """The axis by name or, for a tensor of another head, by the end of its name or its size."""
    if name in axes:
        return axes[name]
    for known, axis in axes.items():
        if known.endswith(f".{name}") or name.endswith(f".{known}"):
            return axis
    return 0 if shape and shape[0] == num_rows else None


def _write_index(folder: Path, output: Path) -> None:
    index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
    files = [output / path.name for path in weight_files(folder)]
    index["metadata"] = {
        "total_parameters": stored_parameters(files),
        "total_size": sum(file.stat().st_size for file in files),
    }
    (output / _INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
