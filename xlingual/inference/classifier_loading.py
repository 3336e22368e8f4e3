"""Load a saved classifier, a full model or an adapter, and refuse one that cannot be used."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerBase

from xlingual.errors import ConfigError, ModelLoadError, XlingualError
from xlingual.inference.batches import Session
from xlingual.inference.model_folder import (
    base_folder,
    check_files,
    has_tokenizer,
    has_weights,
    read_json,
    resolve_folder,
    run_config,
)
from xlingual.inference.onnx_session import load_onnx_model
from xlingual.inference.torch_session import TorchSession, load_torch_session
from xlingual.models.checks import check_architecture, check_model, position_limit
from xlingual.tasks import Task, get_task

__all__ = ["Classifier", "load_classifier"]

BACKENDS = ("torch", "onnxruntime")
_MALFORMED = (
    OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError,
    StrictDataclassError,
)  # fmt: skip


@dataclass(frozen=True)
class Classifier:
    """A model ready to run, with its tokenizer, labels and settings.

    Args:
        folder: Its local folder.
        session: Maps arrays of token ids to logits.
        tokenizer: Its tokenizer.
        task: Sequence, multi-label or token; a sequence model also takes pairs.
        label_names: In the order of the logits.
        calibration_temperature: Divides the logits; 1.0 if none was fitted.
        max_length: Tokens per row, special tokens included.
        takes_pairs: Whether it was trained on pairs; ``None``: not known.
    """

    folder: Path
    session: Session
    tokenizer: PreTrainedTokenizerBase
    task: Task
    label_names: tuple[str, ...]
    calibration_temperature: float
    max_length: int
    takes_pairs: bool | None


def load_classifier(
    name: str | Path,
    *,
    revision: str | None = None,
    device: str | None = None,
    backend: str = "torch",
    precision: str = "auto",
    max_length: int | None = None,
) -> Classifier:
    """Load a model with a classification head from a folder or a hub.

    The arguments are those of ``Predictor.from_pretrained``.

    Raises:
        ModelLoadError: There is no such model, its weights are pickled, or its base is missing or
            does not fit.
        ConfigError: An invalid argument.
    """
    if backend not in BACKENDS:
        raise ConfigError(f"backend must be one of {', '.join(BACKENDS)}; got {backend!r}")
    folder = resolve_folder(name, revision=revision)
    adapter = read_json(folder / "adapter_config.json")
    check_files(folder, is_adapter=adapter is not None, backend=backend)
    base = folder
    if adapter is not None and not has_weights(folder) and backend == "torch":
        base = base_folder(folder, adapter)
    run = run_config(folder)
    with _load_errors(name):
        config = AutoConfig.from_pretrained(base, trust_remote_code=False)
        _name_labels_of_adapter(config, folder, is_apart=base != folder)
        task = _task_of(config, adapter, run, folder)
        check_architecture(config, getattr(transformers, task.auto_class), path=str(name))
        tokenizer = AutoTokenizer.from_pretrained(
            folder if has_tokenizer(folder) else base, trust_remote_code=False
        )
        if backend == "torch":
            session: Session = load_torch_session(
                folder, base=base, config=config, task=task, device=device, precision=precision
            )
        else:
            session = load_onnx_model(folder, precision=precision)
    length = _row_length(_model_of(session, config, task), tokenizer, max_length, trained=run)
    return Classifier(
        folder=folder,
        session=session,
        tokenizer=tokenizer,
        task=task,
        label_names=tuple(str(config.id2label[i]) for i in sorted(config.id2label)),
        calibration_temperature=_calibration_temperature(folder),
        max_length=length,
        takes_pairs=run["task"] == "pair" if "task" in run else None,
    )


@contextmanager
def _load_errors(name: str | Path) -> Iterator[None]:
    """Turn the libraries' errors on a damaged or unknown model into one error."""
    try:
        yield
    except XlingualError:
        raise
    except _MALFORMED as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ModelLoadError(
            f"cannot load the model {str(name)!r}: expected config.json, model.safetensors and a "
            f"tokenizer of an architecture that transformers has without remote code ({reason})"
        ) from error


def _name_labels_of_adapter(config: Any, folder: Path, *, is_apart: bool) -> None:
    """Set the labels of an adapter without its base, whose config has neither names nor number."""
    results = read_json(folder / "all_results.json") or {} if is_apart else {}
    names = results.get("label_names")
    if names:
        config.id2label = dict(enumerate(names))
        config.label2id = {name: position for position, name in enumerate(names)}


def _task_of(
    config: Any, adapter: dict[str, Any] | None, run: dict[str, Any], folder: Path
) -> Task:
    kinds = {"SEQ_CLS": "ForSequenceClassification", "TOKEN_CLS": "ForTokenClassification"}
    architecture = next(iter(config.architectures or []), "none named")
    kind = kinds.get((adapter or {}).get("task_type") or "", architecture)
    if kind.endswith("ForTokenClassification"):
        return get_task("token")
    if not kind.endswith("ForSequenceClassification"):
        raise ModelLoadError(
            f"{folder} has no trained classification head (its architecture: {architecture}); "
            "expected a ...ForSequenceClassification or ...ForTokenClassification: train one first"
        )
    if config.problem_type == "regression" or len(config.id2label) < 2:
        raise ModelLoadError(
            f"{folder} has a head for one number, not for labels; expected at least two labels"
        )
    is_multi = config.problem_type == "multi_label_classification"
    return get_task("multi_label" if is_multi or run.get("task") == "multi_label" else "sequence")


def _calibration_temperature(folder: Path) -> float:
    content = read_json(folder / "calibration.json")
    if content is None:
        return 1.0
    value = content.get("calibration_temperature")
    if not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ModelLoadError(
            f"{folder / 'calibration.json'}: calibration_temperature must be a number above 0; "
            f"got {value!r}; fit it again, or remove the file"
        )
    return float(value)


def _model_of(session: Session, config: Any, task: Task) -> nn.Module:
    """The model, or for an ONNX graph its architecture without weights, for checks."""
    if isinstance(session, TorchSession):
        return session.model
    with torch.device("meta"):
        model: nn.Module = getattr(transformers, task.auto_class).from_config(config)
    return model


def _row_length(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    asked: int | None,
    *,
    trained: Mapping[str, Any],
) -> int:
    """The requested length, or that of training, or the model's own, up to its position limit."""
    length = trained.get("max_length")
    if asked is None and isinstance(length, int):
        smallest = tokenizer.num_special_tokens_to_add(pair=True) + 2
        length = min(length, position_limit(model) or length)
        asked = length if length >= smallest else None
    return check_model(model, tokenizer, max_length=asked, default=None)
