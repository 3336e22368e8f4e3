"""Collect the files of a folder that go to a hub, and check them before anything is sent."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from safetensors import SafetensorError, safe_open

from xlingual.errors import ConfigError, LabelSpaceError, ModelLoadError
from xlingual.labels import LabelSpace, normalize_label

__all__ = ["ModelFolder", "check_labels", "label_space_of", "read_model_folder", "scrub"]

_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib")
# Not uploaded: the Trainer's pickled arguments, and state that only a resumed run needs; files with
# the user's texts, which are not ours to publish; files that are being written.
_LEFT_OUT = (
    "training_args.bin", "optimizer.pt", "scheduler.pt", "scaler.pt", "rng_state*.pth",
    "trainer_state.json", "predictions_*.jsonl", "rejected_rows.jsonl", "*.part", "*.tmp", "*.lock",
)  # fmt: skip
_FOLDERS_LEFT_OUT = ("checkpoint-*", "runs", ".*", "_*")
_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{20,}|\bms-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{20,}")
_READABLE = 16 << 20  # bytes; longer text is a vocabulary


@dataclass(frozen=True)
class ModelFolder:
    """A model that may be pushed.

    Args:
        path: The folder.
        files: The files for the hub: the name there, and the file, or its content if it differs.
        label_space: The label names; None if the model has none.
        is_adapter: Whether it is an adapter, with or without its base.
    """

    path: Path
    files: Mapping[str, Path | bytes]
    label_space: LabelSpace | None
    is_adapter: bool

    def stamps(self) -> dict[str, tuple[int, int]]:
        """Size and time of every file, to notice files that change during the upload."""
        stats = {name: f.stat() for name, f in self.files.items() if isinstance(f, Path)}
        return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()}


def read_model_folder(folder: str | Path, *, repo_id: str, token: str | None = None) -> ModelFolder:
    """Collect the files that go to the hub.

    On the hub, an adapter saved with its base names its own repository as the base:
    ``from_pretrained(repo_id)`` loads the base that ``adapter_config.json`` names (but not from a
    local folder, transformers 5.23), and the original name is a path of this machine, or a model
    without these labels.

    Raises:
        ModelLoadError: The folder holds no model, its weights are pickled or damaged, or it is an
            adapter whose base is only on this machine.
        ConfigError: A file holds an access token.
    """
    path = Path(folder).expanduser()
    if not path.is_dir():
        problem = "is a file" if path.exists() else "does not exist"
        raise ModelLoadError(f"{folder} {problem}; expected the folder of a saved model")
    found = {
        name.as_posix(): file
        for file in sorted(path.rglob("*"))
        if file.is_file() and not _is_left_out(name := PurePosixPath(file.relative_to(path)))
    }
    _check_weights(path, found)
    files: dict[str, Path | bytes] = dict(found)
    is_adapter = "adapter_config.json" in found
    if is_adapter:
        files["adapter_config.json"] = _adapter_config(path, found, repo_id=repo_id)
    _check_no_token(found, token)
    config = _read_json(path / "config.json") or {}
    results = _read_json(path / "all_results.json") or {}
    return ModelFolder(path, files, label_space_of(config, results.get("label_names")), is_adapter)


def _is_left_out(name: PurePosixPath) -> bool:
    if name.name.startswith(".") or any(name.match(pattern) for pattern in _LEFT_OUT):
        return True
    folders = [PurePosixPath(part) for part in name.parts[:-1]]
    return any(part.match(pattern) for part in folders for pattern in _FOLDERS_LEFT_OUT)


def _check_weights(folder: Path, files: Mapping[str, Path]) -> None:
    pickled = [name for name in files if name.endswith(_PICKLED)]
    if pickled:
        raise ModelLoadError(
            f"{folder} holds pickled weights ({pickled[0]}), which are refused because reading "
            "them can run any code; expected safetensors: save the model again with a current "
            "transformers, and delete the old file"
        )
    is_full = "config.json" in files and any(_is_model(name) for name in files)
    is_adapter = {"adapter_config.json", "adapter_model.safetensors"} <= files.keys()
    if not (is_full or is_adapter):
        shown = ", ".join(sorted(file.name for file in folder.iterdir())[:8]) or "nothing"
        raise ModelLoadError(
            f"{folder} holds no model: expected config.json and model.safetensors, or "
            f"adapter_config.json and adapter_model.safetensors; it holds {shown}"
        )
    index = _read_json(folder / "model.safetensors.index.json") or {}
    missing = {*index.get("weight_map", {}).values()} - files.keys()
    if missing:
        raise ModelLoadError(f"{folder} is incomplete: {min(missing)} is missing")
    for name, file in files.items():
        if name.endswith(".safetensors"):
            try:
                with safe_open(file, framework="numpy"):
                    pass
            except (SafetensorError, OSError) as error:
                raise ModelLoadError(
                    f"{file} is damaged, expected complete safetensors ({error}); save it again"
                ) from error


def _is_model(name: str) -> bool:
    whole = ("model.safetensors", "model.safetensors.index.json")
    return name in whole or name.endswith(".onnx")


def _adapter_config(folder: Path, files: Mapping[str, Path], *, repo_id: str) -> bytes:
    content = _read_json(files["adapter_config.json"])
    if not content:
        raise ModelLoadError(f"{folder} has an adapter_config.json that is not a JSON object")
    base = str(content.get("base_model_name_or_path") or "")
    if "config.json" in files and "model.safetensors" in files:
        content |= {"base_model_name_or_path": repo_id, "revision": None}
    elif not base or base.startswith((".", "/", "~")) or "\\" in base or Path(base).exists():
        raise ModelLoadError(
            f"{folder} is an adapter without its base, and its base {base!r} is only on this "
            "machine: nobody could load it; train with --save_base_model true"
        )
    return (json.dumps(content, ensure_ascii=False, indent=2) + "\n").encode()


def _check_no_token(files: Mapping[str, Path], token: str | None) -> None:
    for name, file in files.items():
        if name.endswith((".safetensors", ".onnx", ".data")) or file.stat().st_size > _READABLE:
            continue
        text = file.read_text(encoding="utf-8", errors="ignore")
        if _TOKEN.search(text) or (token and token in text):
            raise ConfigError(
                f"{file} holds an access token, which anybody could read on a hub; remove it from "
                "the file, and replace the token by a new one"
            )


def scrub(text: object, token: str | None) -> str:
    """A message without the token, on one line."""
    hidden = str(text).replace(token, "***") if token else str(text)
    return " ".join(_TOKEN.sub("***", hidden).split())


def label_space_of(config: Mapping[str, Any], names: list[str] | None = None) -> LabelSpace | None:
    """The label names in a model's ``config.json``, else the given ones, else None."""
    id2label = config.get("id2label")
    try:
        if isinstance(id2label, dict) and id2label:
            return LabelSpace.from_id2label({int(i): str(n) for i, n in id2label.items()})
        return LabelSpace(tuple(names)) if names else None
    except ValueError:  # names that differ only in case, which no label space may have
        return None


def check_labels(own: LabelSpace | None, there: LabelSpace | None, *, repo_id: str) -> None:
    """Refuse to replace a model by one with another meaning of the label ids.

    Raises:
        LabelSpaceError: Both have label names, and they differ in a name or in their order.
    """
    if own is None or there is None:
        return
    if [normalize_label(name) for name in own.names] == [
        normalize_label(name) for name in there.names
    ]:
        return
    how = "these labels in another order" if own.is_permutation_of(there) else "other labels"
    raise LabelSpaceError(
        f"{repo_id} holds a model with {how}: {', '.join(there.names)}; this one has "
        f"{', '.join(own.names)}; push to another repository, or replace it with "
        "--replace_labels true"
    )


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
