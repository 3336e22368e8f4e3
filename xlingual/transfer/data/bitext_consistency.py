"""Bitext consistency: the teacher reads the source side, the student learns the target side."""

from __future__ import annotations

import logging

import numpy as np
from datasets import Dataset

from xlingual.data.bitext import Bitext
from xlingual.errors import ConfigError, DataError
from xlingual.transfer.data.pseudo_labels import predicted_prior, with_soft_labels
from xlingual.transfer.loop.learner import Learner

__all__ = ["label_bitext"]

logger = logging.getLogger(__name__)


def label_bitext(
    teacher: Learner,
    bitext: Dataset | Bitext,
    *,
    confidence_threshold: float = 0.6,
    num_rows: int | None = 30_000,
    balance: bool = True,
    seed: int = 0,
) -> Dataset:
    """Target sentences with the soft labels that a teacher gave to their translations.

    The teacher reads the language it was trained in, so the student's errors in the target language
    are corrected by a model that does not share them (Eisenschlos et al. 2019, MultiFiT; Wu and
    Dredze 2020).

    Args:
        teacher: Trained on the source.
        bitext: Clean pairs, or columns ``source_text`` and ``target_text``.
        confidence_threshold: Pairs that the teacher is less confident of are left out; general
            bitext is far from the task, and most of it says nothing about the labels.
        num_rows: Keep at most this many pairs.
        balance: Take equal numbers of each class; the prior of unrelated sentences is noise.
        seed: Seed of the sample.

    Returns:
        Columns ``text`` and ``soft_labels``.

    Raises:
        ConfigError: The teacher reads pairs of sentences.
        DataError: A column is missing, or the teacher is confident of no pair.
    """
    if getattr(getattr(teacher, "task", None), "name", "sequence") == "pair":
        raise ConfigError(
            "bitext consistency labels single sentences, and this teacher reads pairs; for --task "
            "pair use translations or continual_alignment"
        )
    if isinstance(bitext, Bitext):
        bitext = Dataset.from_dict({"source_text": bitext.english, "target_text": bitext.chinese})
    missing = {"source_text", "target_text"} - set(bitext.column_names)
    if missing:
        raise DataError(
            f"bitext needs the columns source_text and target_text; missing {sorted(missing)}"
        )
    generator = np.random.default_rng(seed)
    source = Dataset.from_dict({"text": bitext["source_text"][:]})
    probs = teacher.predict_labels(source).probs
    confident = np.flatnonzero(probs.max(axis=1) >= confidence_threshold)
    if not len(confident):
        raise DataError(
            f"the teacher is confident (>= {confidence_threshold}) of no pair of the bitext; lower "
            "confidence_threshold, or give pairs that are closer to the task"
        )
    chosen = _balanced(probs, confident, num_rows, generator) if balance else confident
    if num_rows is not None and len(chosen) > num_rows:
        chosen = generator.choice(chosen, num_rows, replace=False)
    chosen = np.sort(chosen)
    logger.info(
        "bitext: the teacher is confident of %d of %d pairs, %d are used; prior %s",
        len(confident), len(bitext), len(chosen), predicted_prior(probs[chosen]).round(2).tolist(),
    )  # fmt: skip
    rows = Dataset.from_dict({"text": bitext.select(chosen)["target_text"][:]})
    return with_soft_labels(rows, probs[chosen], label_space=teacher.label_space)


def _balanced(
    probs: np.ndarray, rows: np.ndarray, num_rows: int | None, generator: np.random.Generator
) -> np.ndarray:
    """As many rows of each predicted class as the rarest has, or a tenth of an equal share."""
    predicted = probs[rows].argmax(axis=1)
    groups = [rows[predicted == label] for label in range(probs.shape[1])]
    smallest = min(len(group) for group in groups)
    size = max(smallest, len(rows) // (10 * len(groups)), 1)
    if num_rows is not None:
        size = min(size, -(-num_rows // len(groups)))
    return np.concatenate(
        [
            group if len(group) <= size else generator.choice(group, size, replace=False)
            for group in groups
        ]
    )
