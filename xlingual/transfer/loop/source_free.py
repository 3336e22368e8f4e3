"""Source-free adaptation: from a trained model and target text, without any source rows."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from xlingual.data import mix_domains
from xlingual.errors import ConfigError, DataError
from xlingual.transfer.data.pseudo_labels import predicted_prior
from xlingual.transfer.loop.guard import safer_of
from xlingual.transfer.loop.learner import Learner, ReadOnce
from xlingual.transfer.loss.information_maximization import InformationMaximizationLoss

__all__ = ["SourceFree", "adapt_source_free", "centroid_labels"]

logger = logging.getLogger(__name__)

Floats = NDArray[np.floating[Any]]


@dataclass
class SourceFree:
    """The result of source-free adaptation.

    Attributes:
        learner: The last model that was kept, or the first model if the first round was refused.
        rounds: Rounds that were kept.
        stopped: Why it ended early; empty if it did not.
    """

    learner: Any
    rounds: int = 0
    stopped: str = ""


def centroid_labels(features: Floats, probs: Floats) -> NDArray[np.int64]:
    r"""Pseudo-labels by the nearest class centroid, which are more reliable than the model's own.

    .. math:: c_k = \frac{\sum_i p_{ik} f_i}{\sum_i p_{ik}}, \quad
              \hat y_i = \arg\max_k \cos(f_i, c_k)

    and once more with the hard :math:`\hat y` in place of *p* (Liang et al. 2020). A class that is
    nearest to no row keeps its first centroid. Features get a constant 1 appended and are scaled
    to unit length, as in the authors' code.

    Shape:
        features (rows, hidden), probs (rows, num_labels); returns (rows,).
    """
    rows = np.concatenate([features, np.ones((len(features), 1))], axis=1).astype(float)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    centroids = _centroids(rows, np.asarray(probs, dtype=float))
    labels = (rows @ _unit(centroids).T).argmax(axis=1)
    one_hot = np.eye(probs.shape[1])[labels]
    is_met = one_hot.any(axis=0)
    centroids[is_met] = _centroids(rows, one_hot)[is_met]
    return (rows @ _unit(centroids).T).argmax(axis=1)


def _centroids(rows: Floats, shares: Floats) -> Floats:
    return (shares.T @ rows) / np.maximum(shares.sum(axis=0), 1e-12)[:, None]


def _unit(vectors: Floats) -> Floats:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def adapt_source_free(
    fit: Callable[..., Any],
    teacher: Learner,
    unlabeled: Dataset,
    *,
    extract: Callable[[Any, Dataset], Floats],
    num_rounds: int = 5,
    pseudo_label_weight: float = 0.3,
    diversity_weight: float = 1.0,
    guard: bool = True,
    min_centroid_agreement: float = 0.8,
) -> SourceFree:
    r"""Adapt a trained model to target text when the source data may not be read.

    .. math:: L = \gamma \, \mathrm{CE}(\hat y, p) + L_{IM}

    SHOT (Liang et al. 2020): the output layer, which holds what was learnt from the source, is
    frozen, and the encoder moves the target's features towards it, by information maximisation and
    by centroid pseudo-labels that are recomputed in every round. Unlike in the paper, class shares
    are held to the smoothed shares that the first model predicted and not to equal ones, which
    under label shift would push rows across the decision boundary.

    This assumes that the rows of a class form a cluster. The guard checks that first: if the
    centroids contradict the model on many rows, nothing is adapted (reviews and topics agree on 82%
    to 96%, sentence pairs on 56% to 75%). Then, without source rows to validate on, it compares
    each round with the first model (class shares, agreement, n-grams); the first round that it
    refuses ends the adaptation, and the model of the previous round is kept.

    Args:
        fit: Trains one round, starting from ``after``; called as ``fit("source_free_1", rows,
            loss=loss, after=learner, freeze_output_layer=True, num_train_epochs=1.0)``.
        teacher: The trained model.
        unlabeled: Target text; a label column in it is never read.
        extract: Computes the inputs of a model's output layer for rows.
        num_rounds: Number of passes over the text.
        pseudo_label_weight: :math:`\gamma`; 0.3 in the paper.
        diversity_weight: :math:`\beta` of the loss.
        guard: Whether rounds may be refused.
        min_centroid_agreement: Below this share of agreement, the guard starts no round.

    Raises:
        ConfigError: Fewer than one round, or a negative weight.
        DataError: There is no target text.
    """
    if num_rounds < 1 or pseudo_label_weight < 0:
        raise ConfigError(
            "expected at least one round and a pseudo_label_weight of at least 0; got "
            f"{num_rounds} and {pseudo_label_weight}"
        )
    if not len(unlabeled):
        raise DataError("source-free adaptation needs target text; --target_unlabeled has no rows")
    names = teacher.label_space.names
    result = SourceFree(learner=teacher)
    text = ReadOnce(unlabeled)
    prior = predicted_prior(text.predicted_by(teacher).probs)
    for number in range(1, num_rounds + 1):
        model, probs = result.learner, text.predicted_by(result.learner).probs
        labels = centroid_labels(extract(model, unlabeled), probs)
        share = float((labels == probs.argmax(axis=1)).mean())
        logger.info("round %d: %.0f%% of the centroid labels are the model's", number, 100 * share)
        if guard and share < min_centroid_agreement:
            result.stopped = f"round {number}: the centroids agree on only {share:.0%} of the rows"
            break
        student = fit(
            f"source_free_{number}",
            _pseudo_labelled(unlabeled, [names[i] for i in labels], pseudo_label_weight),
            loss=InformationMaximizationLoss(prior, diversity_weight=diversity_weight),
            after=model,
            freeze_output_layer=True,
            num_train_epochs=1.0,
        )
        if guard and safer_of(teacher, student, unlabeled=text) is not student:
            result.stopped = f"round {number} was refused by the guard"
            break
        result.learner, result.rounds = student, number
    if result.stopped:
        kept = f"round {result.rounds}" if result.rounds else "the model as it was given"
        logger.warning("source-free adaptation stopped (%s); %s is kept", result.stopped, kept)
    return result


def _pseudo_labelled(rows: Dataset, labels: list[str], weight: float) -> Dataset:
    """Target rows with these labels and this weight instead of any that they had."""
    taken = {"label", "labels", "soft_labels", "weight"} & set(rows.column_names)
    pseudo = rows.remove_columns(sorted(taken)).add_column("label", labels)
    # With a weight of 0 only the transfer loss should count, but mixing needs weights above 0.
    return mix_domains({}, {"pseudo": pseudo}, target_weights={"pseudo": max(weight, 1e-12)})
