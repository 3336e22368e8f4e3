"""Check that a saved folder, loaded as a user loads it, predicts like the model in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from xlingual.errors import SaveError, first_line
from xlingual.models.adapters import load_adapter
from xlingual.models.loading import quiet_load_report
from xlingual.saving.completeness import plain_name

__all__ = [
    "PROBE_TEXTS",
    "check_read_back",
    "load_plain",
    "logits_of",
    "probe_batch",
]

# For runs that keep no rows: both languages, both Chinese scripts, and a row that gets padding.
PROBE_TEXTS = (
    "The room was clean and quiet.",
    "早餐不錯，check in很慢。",
    "房间很脏，服务态度恶劣。",
)


def probe_batch(
    tokenizer: PreTrainedTokenizerBase, rows: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Tensor]:
    """A padded batch of a few encoded rows, or of fixed sentences if there are none."""
    if not rows:
        return dict(tokenizer(list(PROBE_TEXTS), padding=True, return_tensors="pt"))
    names = [name for name in tokenizer.model_input_names if name in rows[0]]
    plain = {name: [list(row[name]) for row in rows] for name in names}
    return dict(tokenizer.pad(plain, padding=True, return_tensors="pt"))


def check_read_back(
    model: Any,
    folder: str | Path,
    *,
    batch: Mapping[str, Tensor],
    auto_class: str,
    tolerance: float = 1e-4,
) -> None:
    r"""Load a folder with transformers and PEFT alone and compare its logits.

    .. math:: \max |z' - z| \le \tau \max(1, \max |z|)

    Both run in evaluation mode and without autocast, so that only the weights can differ.

    Args:
        model: The model in memory.
        folder: Where it was saved.
        batch: Model inputs of a few rows.
        auto_class: Name of the ``AutoModelFor...`` class.
        tolerance: For float32 weights; half precision gets 200 times as much.

    Raises:
        SaveError: The folder cannot be loaded, or its logits differ; the message names parameters
            that differ.
    """
    parameter = next(iter(model.parameters()))
    # Loading draws random numbers, which must not affect a run that continues.
    devices = [parameter.device] if parameter.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        try:
            other = load_plain(folder, auto_class, config=model.config).to(parameter.device)
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise SaveError(
                f"{folder} was written but cannot be loaded by transformers ({first_line(error)}); "
                "keep the base model where it was, or skip this check with --verify_save false"
            ) from error
        expected, given = logits_of(model, batch), logits_of(other, batch)
    if parameter.dtype != torch.float32:
        tolerance *= 200
    limit = tolerance * max(1.0, expected.abs().max().item())
    difference = (expected - given).abs().max().item() if given.shape == expected.shape else None
    if difference is None or not difference <= limit:  # true for NaN as well
        raise SaveError(
            f"the model read back from {folder} predicts differently from the one in memory: its "
            f"logits differ by {difference} (allowed: {limit:.1e}); parameters that differ: "
            f"{', '.join(_differing(model, other)[:6]) or 'none by name'}; check that its base "
            "model is the one it was trained on"
        )


def load_plain(folder: str | Path, auto_class: str, *, config: Any) -> nn.Module:
    """Load a model or adapter folder; an adapter without its base is put on the base it names."""
    model_class = getattr(transformers, auto_class)
    path = Path(folder) / "adapter_config.json"
    with quiet_load_report():
        if not path.is_file() or (Path(folder) / "config.json").is_file():
            return model_class.from_pretrained(folder, use_safetensors=True)
        adapter = json.loads(path.read_text(encoding="utf-8"))
        base = model_class.from_pretrained(
            adapter["base_model_name_or_path"],
            revision=adapter.get("revision"),
            num_labels=config.num_labels,
            ignore_mismatched_sizes=True,
            use_safetensors=True,
            dtype=torch.float32,
        )
        base.config.get_text_config().pad_token_id = config.get_text_config().pad_token_id
        return load_adapter(base, folder)


@torch.no_grad()
def logits_of(model: Any, batch: Mapping[str, Tensor]) -> Tensor:
    """The logits on a batch in evaluation mode, in float32 and on the CPU."""
    device = next(iter(model.parameters())).device
    is_training = model.training
    model.eval()
    try:
        with _without_autocast(model), torch.autocast(device.type, enabled=False):
            moved = {name: values.to(device) for name, values in batch.items()}
            return model(**moved).logits.float().cpu()
    finally:
        model.train(is_training)


@contextmanager
def _without_autocast(model: Any) -> Iterator[None]:
    """Undo Accelerate's replacement of ``forward``, which computes in half precision."""
    prepared = model.__dict__.get("forward")
    original = model.__dict__.get("_original_forward")
    if original is None:
        yield
        return
    model.forward = original
    try:
        yield
    finally:
        model.forward = prepared


def _differing(model: Any, other: Any) -> list[str]:
    values = {plain_name(name): tensor for name, tensor in other.named_parameters()}
    return [
        plain_name(name)
        for name, tensor in model.named_parameters()
        if "original_module" not in name
        and (value := values.get(plain_name(name))) is not None
        and not (value.shape == tensor.shape and torch.allclose(value.float(), tensor.float()))
    ]
