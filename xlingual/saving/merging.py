"""A plain model from a base and its adapter."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import peft
import torch
import transformers
from safetensors import safe_open
from transformers import AutoConfig, AutoTokenizer

from xlingual.errors import ModelLoadError, OutputError, first_line
from xlingual.models.adapters import (
    ADAPTER_TENSOR,
    base_fingerprint,
    load_adapter,
    write_readable_config,
)
from xlingual.models.checks import check_model
from xlingual.models.loading import quiet_load_report
from xlingual.saving.completeness import check_complete, plain_name
from xlingual.saving.readback import check_read_back, logits_of, probe_batch
from xlingual.writing import check_empty, new_folder

__all__ = ["merge_adapter"]

_ADAPTER = "adapter_model.safetensors"
# Files that are written anew, describe the adapter, or are pickled.
_NOT_CARRIED = (
    "adapter_*", "config.json", "model*.safetensors", "model.safetensors.index.json", "README.md",
    "*.bin", "*.pt", "*.pth", "trainer_state.json",
)  # fmt: skip
_MALFORMED = (OSError, ValueError, KeyError, TypeError, RuntimeError)


def merge_adapter(folder: str | Path, output_dir: str | Path) -> Path:
    """Write base and adapter as one plain model, with tokenizer, label names and results.

    The merged model, in memory and as read back, is compared with base and adapter before its
    folder is put in place; a failed merge leaves nothing behind.

    Args:
        folder: An adapter, with its base beside it or named in ``adapter_config.json``.
        output_dir: A folder that does not exist, or is empty.

    Raises:
        ModelLoadError: The folder holds no adapter, its weights are pickled, or its base is missing
            or is not the one that it was trained on.
        OutputError: The output holds files or cannot be written.
        SaveError: The merged model predicts differently.
    """
    folder, output = Path(folder).expanduser(), Path(output_dir).expanduser()
    config = _adapter_config(folder)
    check_empty(output)
    model, base = _load(folder, config)
    tokenizer = AutoTokenizer.from_pretrained(
        folder if (folder / "tokenizer_config.json").is_file() else base
    )
    check_model(model, tokenizer, default=None)
    batch = probe_batch(tokenizer)
    expected = logits_of(model, batch)
    merged = _merged(model)
    with new_folder(output) as beside:
        merged.save_pretrained(beside)
        tokenizer.save_pretrained(beside)
        write_readable_config(beside)
        _carry(folder, beside)
        check_complete(merged, beside)
        name = _auto_class(config)
        check_read_back(merged, beside, batch=batch, auto_class=name, tolerance=1e-5)
        check_equal(expected, logits_of(merged, batch), folder)
    return output


def check_equal(expected: torch.Tensor, merged: torch.Tensor, folder: Path) -> None:
    """Check that merging changed the logits by rounding only.

    Raises:
        OutputError: The logits differ.
    """
    difference = (expected - merged).abs().max().item()
    if not difference <= 1e-4 * max(1.0, expected.abs().max().item()):
        raise OutputError(
            f"merging {folder} changes its logits by {difference:.1e}; expected rounding only: use "
            "the adapter as it is, and report this"
        )


def _adapter_config(folder: Path) -> dict[str, Any]:
    path = folder / "adapter_config.json"
    if not path.is_file():
        is_model = (folder / "config.json").is_file()
        what = "is a full model already" if is_model else "is not an adapter"
        raise ModelLoadError(
            f"{folder} {what}; expected a folder with adapter_config.json and {_ADAPTER}"
        )
    if not (folder / _ADAPTER).is_file():
        raise ModelLoadError(f"{folder} has no {_ADAPTER}; pickled weights are refused")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelLoadError(f"{path} is not valid JSON ({error}); save the model again") from error
    _auto_class(config)
    return config


def _auto_class(config: dict[str, Any]) -> str:
    kinds = {"SEQ_CLS": "SequenceClassification", "TOKEN_CLS": "TokenClassification"}
    kind = kinds.get(str(config.get("task_type")))
    if kind is None:
        raise ModelLoadError(
            f"the adapter's task_type is {config.get('task_type')!r}; expected {' or '.join(kinds)}"
        )
    return f"AutoModelFor{kind}"


def _load(folder: Path, config: dict[str, Any]) -> tuple[peft.PeftModel, str]:
    is_beside = (folder / "config.json").is_file() and any(folder.glob("model*.safetensors"))
    base = str(folder) if is_beside else str(config.get("base_model_name_or_path") or "")
    revision = None if is_beside else config.get("revision")
    with safe_open(folder / _ADAPTER, framework="pt") as file:
        metadata = file.metadata() or {}
    try:
        with quiet_load_report():
            settings = AutoConfig.from_pretrained(base, revision=revision)
            if not is_beside and "label_names" in metadata:
                names = json.loads(metadata["label_names"])
                settings.id2label = dict(enumerate(names))
                settings.label2id = {name: i for i, name in enumerate(names)}
                settings.problem_type = metadata.get("problem_type") or None
            model_class = getattr(transformers, _auto_class(config))._model_mapping[type(settings)]
            plain = _load_base(model_class, base, settings, revision, is_beside=is_beside)
            model = load_adapter(plain, folder).eval()
    except _MALFORMED as error:
        at = f" at revision {revision}" if revision else ""
        raise ModelLoadError(
            f"the base model {base!r}{at} of the adapter {folder} is missing or does not fit it; "
            "put it there, or put its config.json and model.safetensors into the adapter's folder "
            f"({first_line(error)})"
        ) from error
    trained_on = metadata.get("base_fingerprint")
    if trained_on is not None and trained_on != base_fingerprint(model):
        raise ModelLoadError(
            f"the base model {base!r} is not the revision that the adapter {folder} was trained "
            "on; put that revision there, or train again"
        )
    return model, base


def _load_base(
    model_class: Any, base: str, settings: Any, revision: str | None, *, is_beside: bool
) -> Any:
    common = {"config": settings, "ignore_mismatched_sizes": True, "dtype": torch.float32}
    if not is_beside:
        return model_class.from_pretrained(base, revision=revision, use_safetensors=True, **common)
    # Given the folder, transformers would load the adapter too.
    state: dict[str, torch.Tensor] = {}
    for path in Path(base).glob("model*.safetensors"):
        with safe_open(path, framework="pt") as file:
            state |= {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return model_class.from_pretrained(None, state_dict=state, **common)


def _merged(model: peft.PeftModel) -> Any:
    """The plain model with the adapter added to its weights, and the trained heads in place.

    ``merge_and_unload`` fails for IA3 if a saved module is more than one layer (PEFT 0.21).
    """
    model.merge_adapter()
    base: Any = model.get_base_model()
    state = {
        plain_name(name): tensor
        for name, tensor in base.state_dict().items()
        if ".original_module." not in name and not ADAPTER_TENSOR.search(name)
    }
    plain = type(base)(base.config)
    plain.load_state_dict(state)
    return plain.eval()


def _carry(folder: Path, output: Path) -> None:
    """Copy the calibration, the results and other files beside the adapter."""
    for path in folder.iterdir():
        if path.is_file() and not any(path.match(pattern) for pattern in _NOT_CARRIED):
            shutil.copyfile(path, output / path.name)
