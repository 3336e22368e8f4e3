"""Find the folder of a saved model, check its files and read its settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from xlingual.data.readers.sources import looks_local
from xlingual.errors import ModelLoadError
from xlingual.models.pypi_encoders import local_path

__all__ = [
    "base_folder",
    "check_files",
    "has_tokenizer",
    "has_weights",
    "read_json",
    "resolve_folder",
    "run_config",
]

_SAFE_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
# The files to download from a hub; pickled weights are not among them.
_PATTERNS = ("*.json", "*.safetensors", "*.onnx", "*.onnx.data", "*.txt", "*.model", "*.yaml")


def resolve_folder(name: str | Path, *, revision: str | None = None) -> Path:
    """The local folder of a model; a hub id is downloaded, with safetensors only.

    Raises:
        ModelLoadError: There is no such folder or repository, or no hub can be reached.
    """
    from huggingface_hub import snapshot_download

    path = Path(local_path(str(name))).expanduser()
    if path.is_dir():
        return path
    if path.exists() or looks_local(str(name)):
        problem = "is a file" if path.exists() else "does not exist"
        raise ModelLoadError(f"{name} {problem}; expected the folder of a model, or a hub id")
    try:
        found = snapshot_download(str(name), revision=revision, allow_patterns=list(_PATTERNS))
    except (OSError, ValueError) as error:
        at = f" at revision {revision!r}" if revision else ""
        raise ModelLoadError(
            f"cannot load the model {str(name)!r}{at}: it is neither a local folder, nor in the "
            "local cache, nor on a hub that can be reached; check the spelling, unset "
            "HF_HUB_OFFLINE, or set HF_ENDPOINT to a mirror "
            f"({str(error).strip().splitlines()[0]})"
        ) from error
    return Path(found)


def has_weights(folder: Path) -> bool:
    """Whether the folder holds a full model in safetensors."""
    return (folder / "config.json").is_file() and any(
        (folder / name).is_file() for name in _SAFE_WEIGHTS
    )


def has_tokenizer(folder: Path) -> bool:
    """Whether the folder holds a tokenizer of any kind."""
    names = ("tokenizer.json", "tokenizer_config.json", "vocab.txt")
    return any((folder / name).is_file() for name in names)


def check_files(folder: Path, *, is_adapter: bool, backend: str) -> None:
    """Refuse a folder without a model, or with pickled weights, before anything is read.

    Raises:
        ModelLoadError: The folder lacks a model, or its weights are pickled.
    """
    holds = sorted(path.name for path in folder.iterdir())
    expected = "adapter_model.safetensors" if is_adapter else "model.safetensors"
    if not is_adapter and "config.json" not in holds:
        shown = ", ".join(holds[:8]) or "nothing"
        raise ModelLoadError(
            f"{folder} holds no model: expected config.json, model.safetensors and a tokenizer, or "
            f"adapter_config.json and adapter_model.safetensors; it holds {shown}"
        )
    if backend != "torch" or expected in holds or (not is_adapter and has_weights(folder)):
        return
    pickled = [name for name in holds if name.endswith((".bin", ".pt", ".pth", ".ckpt", ".pkl"))]
    if pickled:
        raise ModelLoadError(
            f"{folder} has pickled weights ({pickled[0]}), which are refused because reading them "
            f"can run any code; expected {expected}: save the model again with a current "
            "transformers"
        )
    raise ModelLoadError(f"{folder} has no weights; expected {expected}")


def base_folder(folder: Path, adapter: dict[str, Any]) -> Path:
    """The base of an adapter that was saved without it, at the revision that the adapter names.

    Raises:
        ModelLoadError: The base is missing, cannot be downloaded, or its weights are pickled.
    """
    name, revision = adapter.get("base_model_name_or_path"), adapter.get("revision")
    if not name:
        raise ModelLoadError(f"{folder} is an adapter that does not name its base model")
    at = f" at revision {revision!r}" if revision else ""
    try:
        base = resolve_folder(name, revision=revision)
    except ModelLoadError as error:
        raise ModelLoadError(
            f"{folder} is an adapter, and its base model {name!r}{at} is missing: {error}; train "
            "with --save_base_model true for a folder that loads on its own"
        ) from error
    if not has_weights(base):
        raise ModelLoadError(
            f"{folder} is an adapter, and its base model {name!r}{at} has no config.json and "
            "model.safetensors (pickled weights are refused)"
        )
    return base


def run_config(folder: Path) -> dict[str, Any]:
    """The settings of the training run, if this package trained the model."""
    path = folder / "run_config.yaml"
    if not path.is_file():
        return {}
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (ValueError, yaml.YAMLError) as error:
        raise ModelLoadError(f"{path} is not valid YAML ({error}); fix or remove it") from error
    return content if isinstance(content, dict) else {}


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file; ``None`` if there is no file.

    Raises:
        ModelLoadError: The file is not JSON, or not an object.
    """
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelLoadError(f"{path} is not valid JSON ({error}); save the model again") from error
    if not isinstance(content, dict):
        raise ModelLoadError(f"{path} holds a {type(content).__name__}; expected an object")
    return content
