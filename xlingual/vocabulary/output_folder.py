"""The files of a trimmed model's folder: copied, renumbered or left out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from xlingual.errors import ModelLoadError
from xlingual.writing import write_json

__all__ = ["ID_KEYS", "copy_unchanged", "read_json", "write_configs"]

# Weights are rewritten; other copies of the vocabulary and other formats would contradict them.
_LEFT_BEHIND = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".ot", ".onnx",
                ".onnx.data", ".model", ".spm", ".index.json", ".pkl")  # fmt: skip
_OLD_VOCABULARIES = {"vocab.txt", "vocab.json", "merges.txt", "added_tokens.json", "tokenizer.json"}
ID_KEYS = ("_token_id", "_token_ids")


def copy_unchanged(folder: Path, trimmed: Path) -> None:
    """Copy the files that do not depend on token ids: label names, calibration, card, results."""
    for path in folder.iterdir():
        if path.is_file() and path.name not in _OLD_VOCABULARIES:
            if not path.name.endswith(_LEFT_BEHIND):
                shutil.copyfile(path, trimmed / path.name)
        elif path.is_dir() and (path / "config.json").is_file() and path.name[:1].isdigit():
            shutil.copytree(path, trimmed / path.name)  # modules of sentence-transformers


def write_configs(folder: Path, trimmed: Path, new_ids: dict[int, int]) -> None:
    """Write the configs with the new vocabulary size and the new ids of special tokens."""
    for name in ("config.json", "generation_config.json", "tokenizer_config.json"):
        if (folder / name).is_file():
            content = _with_new_ids(read_json(folder / name), new_ids)
            if name == "config.json":
                content["vocab_size"] = len(new_ids)
            write_json(trimmed / name, content)


def _with_new_ids(content: dict[str, Any], new_ids: dict[int, int]) -> dict[str, Any]:
    """Renumber every ``*_token_id``; one that is not an id of the tokenizer becomes None."""
    changed: dict[str, Any] = {}
    for key, value in content.items():
        if key == "added_tokens_decoder":
            pairs = {new_ids.get(int(number)): token for number, token in value.items()}
            value = {str(number): token for number, token in pairs.items() if number is not None}
        elif isinstance(value, dict):
            value = _with_new_ids(value, new_ids)
        elif key.endswith(ID_KEYS) and isinstance(value, list):
            value = [new_ids[number] for number in value if number in new_ids]
        elif key.endswith(ID_KEYS) and isinstance(value, int):
            value = new_ids.get(value)
        changed[key] = value
    return changed


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; a ``config.json`` must have a ``vocab_size``."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelLoadError(f"{path} is not valid JSON ({error}); save the model again") from error
    if not isinstance(content, dict) or (
        path.name == "config.json" and "vocab_size" not in content
    ):
        raise ModelLoadError(f"{path} is not the config of a text model: it has no vocab_size")
    return content
