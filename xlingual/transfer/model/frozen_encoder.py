"""Frozen encoders with a linear head fitted on their features."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from transformers import PreTrainedModel

from xlingual.errors import ConfigError, DataError
from xlingual.evaluation import LabelPredictions, TransferReport, score_set
from xlingual.labels import LabelSpace
from xlingual.models.adapters import complete_saved_model
from xlingual.models.checks import check_model
from xlingual.models.feature_extraction import extract_features
from xlingual.models.features import output_layer
from xlingual.models.loading import load_model, load_tokenizer
from xlingual.models.memory import peak_memory_mib
from xlingual.models.output_layer import set_output_layer
from xlingual.models.parts import count_parameters
from xlingual.tasks import IGNORE_INDEX, Task
from xlingual.transfer.data.co_training import co_train_head
from xlingual.transfer.model.centring import centring_shift, language_offset
from xlingual.transfer.model.linear_head import (
    LinearMap,
    choose_gate,
    fit_linear,
    fuse_features,
)
from xlingual.transfer.model.linear_self_training import self_train_head

__all__ = ["FrozenEncoder"]

logger = logging.getLogger(__name__)


class FrozenEncoder:
    """One or two frozen encoders with a linear head on their features.

    The features depend on the encoder, and decide whether the result can be saved as a folder that
    loads by itself:

    * for a checkpoint with trained weights for everything below its output layer, such as a
      fine-tuned classifier, they are the input of that layer;
    * for ModernBERT with mean pooling (the embedded encoder), whose head is made to pass its input
      through, they are the layer-normalised mean of the hidden states;
    * for any other encoder, whose pooler is new and random, and for two encoders together, they are
      the mean of the hidden states. No classification class computes that, so
      ``reason_not_saved`` is set.

    Args:
        models: Folders or hub ids; None is the embedded encoder.
        task: A single-label task.
        label_space: The labels of the data.
        revision: Branch, tag or commit of the first model.
        max_length: Tokens per row; None: 128, or what every encoder can read if that is less.
        batch_size: Rows per forward pass.
        cache_dir: Where features are kept between runs.
        seed: Seed of cross-validation.

    Raises:
        ConfigError: A multi-label task, or not one or two models.
        ModelLoadError: A model cannot be loaded.
    """

    def __init__(
        self,
        models: Sequence[str | None] = (None,),
        *,
        task: Task,
        label_space: LabelSpace,
        revision: str | None = None,
        max_length: int | None = None,
        batch_size: int = 128,
        cache_dir: str | Path | None = None,
        seed: int = 0,
    ) -> None:
        if task.problem_type != "single_label_classification" or not 1 <= len(models) <= 2:
            raise ConfigError(
                "frozen features take a single-label task and one or two encoders; got task "
                f"{task.name} and {len(models)} encoders"
            )
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.task, self.seed = task, seed
        loaded = [
            load_model(
                name, task=task, label_space=label_space, revision=revision if not k else None
            )
            for k, name in enumerate(models)
        ]
        self.label_space = loaded[0].label_space
        encoders: list[Any] = [part.model for part in loaded]
        self.models = [encoder.to(device) for encoder in encoders]
        self.tokenizers = [load_tokenizer(part.model.name_or_path) for part in loaded]
        self.max_length = min(
            check_model(model, tokenizer, max_length=max_length)
            for model, tokenizer in zip(self.models, self.tokenizers, strict=True)
        )
        self._extraction: dict[str, Any] = {
            "task": task, "max_length": self.max_length, "batch_size": batch_size,
            "cache_dir": cache_dir,
        }  # fmt: skip
        self.poolings = [
            "head" if _has_trained_head_input(part.model, part.new_parameters) else "mean"
            for part in loaded
        ]
        self.reason_not_saved = _reason_not_saved(self.models, self.poolings)
        self.head: LinearMap | None = None
        self.target_head: LinearMap | None = None
        self._source_features = np.empty((0, 0))
        self.target_shift = np.zeros(len(self.label_space))
        self.costs: dict[str, float] = {}

    def features(self, dataset: Dataset) -> list[NDArray[np.float32]]:
        """The features of each encoder, in the order of the rows."""
        parts = zip(self.models, self.tokenizers, self.poolings, strict=True)
        return [
            extract_features(
                model, dataset, tokenizer=tokenizer, pooling=pooling, **self._extraction
            )
            for model, tokenizer, pooling in parts
        ]

    def fit(self, dataset: Dataset, *, fusion: str = "concatenate", **settings: Any) -> None:
        """Fit the head on labelled source rows; ``settings`` are those of ``fit_linear``."""
        started = time.perf_counter()
        blocks, labels = self.features(dataset), self._labels(dataset)
        encoded = time.perf_counter()
        common: dict[str, Any] = {"num_labels": len(self.label_space), "seed": self.seed}
        if fusion == "gate" and len(blocks) > 1:
            settings["feature_scales"] = choose_gate(blocks, labels, **common)
        self._source_features = fuse_features(blocks)
        self.head = fit_linear(self._source_features, labels, **common, **settings)
        self.target_head = None
        self.costs = {
            "encode_seconds": encoded - started,
            "fit_seconds": time.perf_counter() - encoded,
            "trainable_parameters": float(self.head.weight.size + self.head.bias.size),
            "parameters": float(sum(count_parameters(model) for model in self.models)),
        }

    def centre(self, unlabeled: Dataset) -> None:
        """Remove the offset of the target's features from the source's, class by class.

        Args:
            unlabeled: Target text; the source rows are those of :meth:`fit`.
        """
        head = self._fitted()
        sides = [self._source_features, fuse_features(self.features(unlabeled))]
        source_probs, target_probs = (self.task.probabilities(head(side)) for side in sides)
        offset = language_offset(*sides, source_probs=source_probs, target_probs=target_probs)
        shift = centring_shift(head.weight, offset)
        self.target_shift = shift - shift.mean()
        logger.info("centring shifts the target's logits by %s", np.round(self.target_shift, 2))

    def self_train(self, unlabeled: Dataset, **settings: Any) -> None:
        """Refit the head on its most confident target labels: see ``self_train_head``.

        Args:
            unlabeled: Target text; a label column in it is never read.
            settings: Those of ``self_train_head``.
        """
        started = time.perf_counter()
        features = fuse_features(self.features(unlabeled))
        self.target_head = self_train_head(self._fitted(), features, **settings)
        self.costs["self_training_seconds"] = time.perf_counter() - started

    def co_train(self, unlabeled: Dataset) -> None:
        """Refit the self-trained head on labels by the target's n-grams: see ``co_train_head``.

        Args:
            unlabeled: Target text; a label column in it is never read.
        """
        started = time.perf_counter()
        features = fuse_features(self.features(unlabeled))
        self.target_head = co_train_head(self._fitted(), features, unlabeled)
        self.costs["co_training_seconds"] = time.perf_counter() - started

    def predict_labels(self, dataset: Dataset, *, is_target: bool = True) -> LabelPredictions:
        """Predict rows in their order; source rows use the head that was fitted on the source."""
        logits = self._fitted(is_target)(fuse_features(self.features(dataset)))
        logits = logits + self.target_shift * is_target
        decided, probs = self.task.decide(logits), self.task.probabilities(logits)
        return LabelPredictions(self._labels(dataset), decided, probs)

    def evaluate_transfer(
        self, *, source: Mapping[str, Dataset], targets: Mapping[str, Dataset]
    ) -> TransferReport:
        """Score source and target sets, with intervals, gap and seconds."""

        def scores(sets: Mapping[str, Dataset], is_target: bool) -> list[Any]:
            common: dict[str, Any] = {"task": self.task, "label_space": self.label_space}
            return [
                score_set(name, self.predict_labels(rows, is_target=is_target), **common)
                for name, rows in sets.items()
            ]

        return TransferReport(
            task=self.task,
            label_space=self.label_space,
            source=scores(source, False),
            targets=scores(targets, True),
            selection="last",
            costs={**self.costs, "peak_memory_mib": peak_memory_mib()},
        )

    def save_model(self, folder: str | Path) -> bool:
        """Write a folder that loads with ``AutoModelForSequenceClassification``, for the target.

        Returns:
            False if no such folder can hold the result; the log says why.
        """
        if self.reason_not_saved is not None:
            logger.warning("no model is saved, only its results: %s", self.reason_not_saved)
            return False
        head, model = self._fitted(is_target=True), self.models[0]
        set_output_layer(model, head.weight, head.bias + self.target_shift)
        model.save_pretrained(folder)
        self.tokenizers[0].save_pretrained(folder)
        complete_saved_model(model, folder, save_base=False)
        return True

    def _fitted(self, is_target: bool = False) -> LinearMap:
        if self.head is None:
            raise DataError("the head is not fitted yet; call fit() with labelled source rows")
        return self.target_head if is_target and self.target_head is not None else self.head

    def _labels(self, dataset: Dataset) -> NDArray[np.int64]:
        if self.task.label_column not in dataset.column_names:
            return np.full(len(dataset), IGNORE_INDEX)
        names = dataset[self.task.label_column]
        return np.array(
            [IGNORE_INDEX if name is None else self.label_space.id_of(name) for name in names]
        )


def _reason_not_saved(models: Sequence[Any], poolings: Sequence[str]) -> str | None:
    if len(models) > 1:
        return "the features of two encoders fit no single model class"
    name = type(models[0]).__name__
    if poolings[0] != "head":
        return f"the pooler of {name} is new, and {name} cannot read a plain mean"
    if output_layer(models[0]).bias is None:
        return f"the output layer of {name} has no bias to hold the head's"
    return None


def _has_trained_head_input(model: PreTrainedModel, new_parameters: frozenset[str]) -> bool:
    """Whether trained weights alone compute the output layer's input.

    A new head of ModernBERT is changed to pass its input through.
    """
    config: Any = model.config
    if config.model_type == "modernbert" and config.classifier_pooling == "mean":
        if any(name.endswith("classifier.weight") for name in new_parameters):
            _pass_through(model)
        return True
    layer = output_layer(model)
    own = {id(parameter) for parameter in layer.parameters()}
    below = [name for name in new_parameters if id(model.get_parameter(name)) not in own]
    return not below


@torch.no_grad()
def _pass_through(model: Any) -> None:
    """Make ModernBERT's head pass on the pooled mean: it was pretrained for single tokens."""
    model.config.classifier_activation = "linear"
    model.head.act = torch.nn.Identity()
    model.head.dense.weight.copy_(torch.eye(model.head.dense.in_features))
    if model.head.dense.bias is not None:
        model.head.dense.bias.zero_()
    model.head.norm.weight.fill_(1.0)
    if model.head.norm.bias is not None:
        model.head.norm.bias.zero_()
