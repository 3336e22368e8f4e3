"""Co-training: the encoder labels target text, and the n-grams of that text correct the encoder."""

from __future__ import annotations

import logging

import numpy as np
from datasets import Dataset
from numpy.typing import ArrayLike
from scipy.special import softmax

from xlingual.data import mix_domains
from xlingual.transfer.data.ngram_view import co_train_labels
from xlingual.transfer.loop.learner import Learner, ReadOnce
from xlingual.transfer.model.linear_head import LinearMap, fit_linear
from xlingual.transfer.model.linear_self_training import self_train_head

__all__ = ["co_train_head", "co_trained_rows"]

logger = logging.getLogger(__name__)


def co_trained_rows(teacher: Learner, unlabeled: Dataset | ReadOnce) -> Dataset | None:
    """Target rows with the labels of ``co_train_labels``, to train the zero-shot model further on.

    The student continues from the zero-shot model, on target rows alone: one that starts from the
    encoder scores as high, but no longer knows the source.

    Args:
        teacher: The zero-shot model.
        unlabeled: Target text; a label column in it is never read.

    Returns:
        Rows with ``text`` and ``label``; None if the labels are refused.
    """
    text = ReadOnce.of(unlabeled)
    found = co_train_labels(text.predicted_by(teacher).probs, text.rows)
    if found.refused:
        logger.warning("co-training is left out: %s", found.refused)
        return None
    logger.info("co-training: %d of %d rows", len(found.rows), len(text.rows))
    names = teacher.label_space.names
    chosen = text.rows.select_columns(["text"]).select(found.rows)
    labelled = chosen.add_column("label", [names[label] for label in found.labels])
    return mix_domains({}, {"co_trained": labelled})


def co_train_head(
    head: LinearMap, features: ArrayLike, unlabeled: Dataset, *, strength: float = 1e-2
) -> LinearMap:
    """Co-train a linear head on frozen features, after its rounds of self-training.

    Args:
        head: Fitted on source rows; reads the target zero-shot.
        features: Features of the target rows, shape ``(rows, hidden)``.
        unlabeled: These rows; a label column in them is never read.
        strength: Inverse penalty of logistic regression, on standardised features.

    Returns:
        A head fitted on the labels by n-grams, or the self-trained one if these are refused.
    """
    rows = np.asarray(features, dtype=float)
    head = self_train_head(head, rows, strength=strength)
    found = co_train_labels(softmax(head(rows), axis=1), unlabeled)
    if found.refused:
        logger.warning("co-training is left out: %s", found.refused)
        return head
    chosen, num_labels = rows[found.rows], len(head.bias)
    return fit_linear(chosen, found.labels, num_labels=num_labels, strength=strength)
