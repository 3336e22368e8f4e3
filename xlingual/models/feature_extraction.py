"""Feature extraction: features in row order, computed once and cached in a file."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import nn
from transformers import PreTrainedTokenizerBase

from xlingual.data import encode
from xlingual.data.batching import map_batches, sorted_batches
from xlingual.errors import ConfigError, DataError
from xlingual.labels import LabelSpace
from xlingual.models.checks import check_model
from xlingual.models.features import FeatureTap
from xlingual.models.parts import base_model_of
from xlingual.tasks import SEQUENCE, Task
from xlingual.writing import new_file

__all__ = ["POOLINGS", "extract_features"]

logger = logging.getLogger(__name__)

POOLINGS = ("head", "mean")
_MODEL_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def extract_features(
    model: nn.Module,
    dataset: Dataset,
    *,
    tokenizer: PreTrainedTokenizerBase,
    task: Task = SEQUENCE,
    pooling: str = "head",
    max_length: int | None = None,
    batch_size: int = 128,
    cache_dir: str | Path | None = None,
) -> NDArray[np.float32]:
    r"""One feature vector per row, without dropout and without a gradient.

    With ``"head"`` it is the input of the output layer, so that the model's logits are
    :math:`W f + b` with that layer's weight and bias. With ``"mean"`` it is the mean of the last
    hidden states over the tokens of the row, :math:`f = \sum_t m_t h_t / \sum_t m_t`; use it if
    the layers between encoder and output layer are new and therefore random.

    Args:
        model: A classification model, with or without an adapter; its mode is left as it was.
        dataset: Rows as text in the columns of ``task``; labels are not read.
        tokenizer: The model's tokenizer.
        task: Which columns hold the text.
        pooling: ``"head"`` or ``"mean"``.
        max_length: Tokens per row; longer text is truncated. None: 128, or what the model can read
            if that is less.
        batch_size: Rows per forward pass. The longest rows come first, so that batches need little
            padding and one that does not fit into memory fails at once.
        cache_dir: Folder to cache features in; they are reused if weights, tokens and pooling are
            the same. A file that cannot be read is written again.

    Returns:
        Shape ``(rows, hidden)``, in the order of ``dataset``.

    Raises:
        ConfigError: An unknown ``pooling``, a ``batch_size`` below 1, or a ``max_length`` beyond
            the positions of the model.
        ModelLoadError: The tokenizer does not fit the model.
        DataError: No rows, or features that are not finite.
    """
    if pooling not in POOLINGS or batch_size < 1:
        raise ConfigError(
            f"expected pooling {' or '.join(POOLINGS)} and a batch_size of at least 1; "
            f"got {pooling!r} and {batch_size}"
        )
    if not len(dataset):
        raise DataError("cannot extract features from no rows; expected at least one row")
    max_length = check_model(model, tokenizer, max_length=max_length)
    texts = dataset.select_columns(list(task.text_columns))
    rows = encode(
        texts, tokenizer=tokenizer, task=task, label_space=_NO_LABELS, max_length=max_length
    )
    inputs = {name: rows[name][:] for name in _MODEL_INPUTS if name in rows.column_names}
    path = None
    if cache_dir is not None:
        name = f"features-{_key(model, inputs, pooling)}.safetensors"
        path = Path(cache_dir) / name
        if (cached := _read(path, len(dataset))) is not None:
            return cached
    features = _compute(model, inputs, tokenizer, pooling=pooling, batch_size=batch_size)
    if not np.isfinite(features).all():
        raise DataError(
            f"{int((~np.isfinite(features)).any(axis=1).sum())} rows have features that are not "
            "finite; expected finite numbers: the model's weights are broken or overflow"
        )
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new_file(path) as beside:
            save_file({"features": features}, beside)
    return features


_NO_LABELS = LabelSpace(("-", "+"))  # a placeholder: the rows have no label column


@torch.no_grad()
def _compute(
    model: nn.Module,
    inputs: Mapping[str, list[list[int]]],
    tokenizer: PreTrainedTokenizerBase,
    *,
    pooling: str,
    batch_size: int,
) -> NDArray[np.float32]:
    was_training, device = model.training, next(model.parameters()).device
    tap = FeatureTap(model) if pooling == "head" else None

    def features_of(rows: list[int]) -> NDArray[np.float32]:
        batch: Any = tokenizer.pad(
            {name: [values[row] for row in rows] for name, values in inputs.items()},
            return_tensors="pt",
        ).to(device)
        if tap is not None:
            model(**batch)
            features = tap.take()
        else:
            hidden = base_model_of(model).base_model(**batch).last_hidden_state
            mask = batch["attention_mask"].unsqueeze(-1).to(hidden.dtype)
            features = (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
        return features.float().cpu().numpy()

    lengths = [len(ids) for ids in inputs["input_ids"]]
    model.eval()
    try:
        return np.stack(map_batches(sorted_batches(lengths, batch_size=batch_size), features_of))
    finally:
        model.train(was_training)
        if tap is not None:
            tap.remove()


def _key(model: nn.Module, inputs: Mapping[str, list[list[int]]], pooling: str) -> str:
    """A hash over all weights except the output layer's, all tokens, and the pooling.

    A path or a name is not enough: the weights behind it may change.
    """
    tap = FeatureTap(model)
    tap.remove()
    unread = {id(parameter) for parameter in tap.layer.parameters()}
    config: Any = base_model_of(model).config
    digest = hashlib.sha256(f"{pooling}\n{config.to_json_string()}".encode())
    for name, tensor in sorted(model.named_parameters()):
        if id(tensor) not in unread:
            digest.update(name.encode())
            digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    for name, values in inputs.items():
        digest.update(name.encode())
        for ids in values:
            digest.update(np.asarray([len(ids), *ids], dtype=np.int64).tobytes())
    return digest.hexdigest()[:32]


def _read(path: Path, num_rows: int) -> NDArray[np.float32] | None:
    try:
        features = load_file(path)["features"]
    except FileNotFoundError:
        return None
    except (SafetensorError, KeyError, OSError, ValueError):
        logger.warning("%s cannot be read: the features are computed again", path)
        return None
    if features.ndim != 2 or len(features) != num_rows:
        logger.warning("%s holds other rows: the features are computed again", path)
        return None
    return features
