"""Learners that need no training, and reviews whose words give away their class."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from datasets import Dataset

from xlingual import LabelPredictions, LabelSpace

SPACE = LabelSpace(("negative", "positive"))


class RuleLearner:
    """Predicts by a function from text to the probability of the last label."""

    def __init__(self, rule: Callable[[str], float], label_space: LabelSpace = SPACE) -> None:
        self.rule = rule
        self.label_space = label_space

    def predict_labels(self, dataset: Dataset) -> LabelPredictions:
        positive = np.array([self.rule(text) for text in dataset["text"]])
        probs = np.stack([1 - positive, positive], axis=1)
        labels = (
            [-100 if name is None else self.label_space.id_of(name) for name in dataset["label"]]
            if "label" in dataset.column_names
            else [-100] * len(probs)
        )
        return LabelPredictions(np.array(labels), probs.argmax(1), probs)


class FixedLearner:
    """Predicts the given probabilities, row by row, whatever the rows are."""

    def __init__(self, probs: np.ndarray, label_space: LabelSpace = SPACE) -> None:
        self.probs = probs
        self.label_space = label_space

    def predict_labels(self, dataset: Dataset) -> LabelPredictions:
        unlabelled = np.full(len(dataset), -100)
        return LabelPredictions(unlabelled, self.probs.argmax(axis=1), self.probs)


SUBJECTS = ("早餐", "前台", "房间", "電梯", "泳池", "Wi-Fi", "停车场", "地毯", "空调", "床单")
GOOD = ("很舒服", "非常滿意", "十分热情", "又快又好", "让人惊喜", "下次还来")
BAD = ("太差了", "非常失望", "又脏又旧", "等了半天", "不会再来", "根本没法用")


def reviews(num_rows: int, *, share: float = 0.5, seed: int = 0) -> tuple[Dataset, np.ndarray]:
    """Unspaced reviews in both scripts, their class said by one of six phrases."""
    generator = np.random.default_rng(seed)
    labels = (generator.random(num_rows) < share).astype(int)
    texts = [
        f"{generator.choice(SUBJECTS)}和{generator.choice(SUBJECTS)}{generator.choice(words)}。"
        for words in ((BAD, GOOD)[label] for label in labels)
    ]
    return Dataset.from_dict({"text": texts}), labels


def noisy_probs(labels: np.ndarray, *, accuracy: float, seed: int = 1) -> np.ndarray:
    """A model of a given accuracy that is slightly more confident where it is right."""
    generator = np.random.default_rng(seed)
    is_right = generator.random(len(labels)) < accuracy
    sure = generator.uniform(0.6, 0.9, len(labels)) + 0.05 * is_right
    probs = np.empty((len(labels), 2))
    predicted = np.where(is_right, labels, 1 - labels)
    probs[np.arange(len(labels)), predicted] = sure
    probs[np.arange(len(labels)), 1 - predicted] = 1 - sure
    return probs
