"""A trainer's predictions in the order of the rows, its scores and its costs."""

from __future__ import annotations

from typing import Any

import numpy as np
from datasets import Dataset
from transformers import EvalPrediction, Trainer

from xlingual.data.batching import longest_first
from xlingual.evaluation import LabelPredictions, classification_scores, multi_label_scores
from xlingual.labels import LabelSpace
from xlingual.models.memory import peak_memory_mib
from xlingual.models.parts import count_parameters
from xlingual.tasks import Task

__all__ = ["predict_in_order", "quick_scores", "training_costs"]


def predict_in_order(trainer: Trainer, encoded: Dataset, *, task: Task) -> LabelPredictions:
    """Predict encoded rows, longest first, and return the results in the order of the rows."""
    order = longest_first(encoded["length"][:])
    place = np.argsort(order)
    metrics, trainer.compute_metrics = trainer.compute_metrics, None  # rows may have no labels
    try:
        output: Any = trainer.predict(encoded.select(order))
    finally:
        trainer.compute_metrics = metrics
    logits = np.asarray(output.predictions, dtype="float32")[place]
    return LabelPredictions(
        references=np.asarray(output.label_ids)[place],
        predictions=task.decide(logits),
        probs=task.probabilities(logits),
    )


def quick_scores(
    prediction: EvalPrediction, *, task: Task, label_space: LabelSpace
) -> dict[str, float]:
    """Accuracy and macro-F1, for evaluation during training; the report has all scores."""
    scores = multi_label_scores if task.name == "multi_label" else classification_scores
    all_scores = scores(
        references=np.asarray(prediction.label_ids),
        predictions=task.decide(np.asarray(prediction.predictions)),
        label_names=label_space.names,
    )
    return {name: all_scores[name] for name in ("accuracy", "macro_f1")}


def training_costs(trainer: Trainer) -> dict[str, float]:
    """Training time and speed, parameters, and peak memory."""
    model: Any = trainer.model
    last = next((log for log in trainer.state.log_history[::-1] if "train_runtime" in log), {})
    kept = ("train_runtime", "train_samples_per_second")
    return {
        **{key: float(last[key]) for key in kept if key in last},
        "trainable_parameters": count_parameters(model, trainable=True),
        "parameters": count_parameters(model),
        "peak_memory_mib": peak_memory_mib(),
    }
