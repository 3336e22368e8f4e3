"""A second view of unlabelled text: what its own n-grams say, learnt from a model's predictions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from datasets import Dataset
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax

from xlingual.errors import ConfigError, DataError
from xlingual.evaluation.ngrams import (
    MIN_ROWS_PER_LABEL,
    count_ngrams,
    fit_naive_bayes,
    reason_against,
)
from xlingual.transfer.data.pseudo_labels import choose_by_margin, class_change, predicted_prior

__all__ = ["CoTrainedLabels", "co_train_labels", "ngram_gain"]

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]


class CoTrainedLabels(NamedTuple):
    """Target rows and the labels that the words of the target give them.

    Attributes:
        rows: Numbers of the surest rows of every class, ascending.
        labels: Their label ids.
        probs: Probabilities of all rows by the n-grams, shape ``(rows, num_labels)``; naive Bayes
            is far too sure of itself, so only their order is worth anything.
        refused: Why these labels must not be used; empty where they may.
    """

    rows: Ids
    labels: Ids
    probs: Floats
    refused: str


def co_train_labels(
    probs: ArrayLike,
    unlabeled: Dataset,
    *,
    rounds: int = 2,
    share: float = 0.8,
    max_prior_shift: float = 0.2,
    min_agreement: float = 2 / 3,
    min_rows_per_label: int = MIN_ROWS_PER_LABEL,
) -> CoTrainedLabels:
    r"""Labels of target rows by their own words, learnt from what a zero-shot model is surest of.

    An encoder that was fitted on English reads a Chinese text through what the two languages share;
    what only Chinese says it misses, in row after row. A second view, naive Bayes over the n-grams
    of the target text itself, is fitted on the rows that the first is surest of, in each class as
    many as the first view's prior says. It does not know the first view's features, so their errors
    are noise to it, while the words that come along with them (热情, 失望) are not. A student
    trained on its labels gets both. After Blum and Mitchell (1998), and Wan (2009), who co-trained
    an English and a Chinese view of the same reviews.

    In each round the surest rows by the margin :math:`\log p_c - \max_{c' \ne c} \log p_{c'}` are
    taken, the first time by the model, then by the n-grams themselves. The n-grams are those of 1
    to 3 characters in scripts that put no spaces, else of 1 and 2 words; each counts once in a row.

    Args:
        probs: Of the zero-shot model on the target rows, shape ``(rows, num_labels)``.
        unlabeled: The target rows; a label column in them is never read.
        rounds: Fits of the n-gram view.
        share: Share of the rows that a fit uses, and of those whose labels are given.
        max_prior_shift: Labels that move a class's share of the rows by more are refused.
        min_agreement: So are labels that agree with the model's on fewer rows.
        min_rows_per_label: With fewer rows the n-grams of a class are too rare to be trusted: 300
            rows of two labels gained 5 points (reviews), 700 of seven lost 4 (topics).

    Returns:
        The labels; ``refused`` says why not, where they show one of the signs of collapse.

    Raises:
        ConfigError: ``rounds`` below 1, or ``share`` outside 0 .. 1.
        DataError: Another number of rows than of probabilities, or none.
    """
    first = np.asarray(probs, dtype=float)
    if rounds < 1 or not 0 < share <= 1:
        raise ConfigError(f"expected rounds >= 1 and 0 < share <= 1; got {rounds} and {share}")
    if not len(first) or len(first) != len(unlabeled):
        raise DataError(
            f"expected the probabilities of {len(unlabeled)} rows, at least one; got {len(first)}"
        )
    num_labels = first.shape[-1]
    reason = reason_against(first, unlabeled, min_rows_per_label)
    ngrams = None if reason else count_ngrams(list(unlabeled["text"]))
    if ngrams is None:
        reason = reason or "no n-gram occurs in three of its rows"
        none = np.empty(0, dtype=np.int64)
        return CoTrainedLabels(none, none, first, reason)
    prior = predicted_prior(first)
    log_probs = np.log(first.clip(min=1e-12))
    for _ in range(rounds):
        rows, labels = choose_by_margin(log_probs, share=share, prior=prior)
        log_probs = fit_naive_bayes(ngrams, rows, labels, num_labels)
    rows, labels = choose_by_margin(log_probs, share=share, prior=prior)
    found = CoTrainedLabels(rows, labels, softmax(log_probs, axis=1), "")
    before, after = first.argmax(axis=1), log_probs.argmax(axis=1)
    shift, agreement = class_change(before, after, num_labels=num_labels)
    if agreement < min_agreement or shift > max_prior_shift:
        return found._replace(
            refused=f"the words agree with the model on {agreement:.0%} of the rows and move a "
            f"class by {shift:.0%} of them"
        )
    return found


def ngram_gain(probs: ArrayLike, predictions: ArrayLike, unlabeled: Dataset) -> float | None:
    """On how many more of the rows, as a share, new predictions agree with the n-grams.

    Args:
        probs: Of the zero-shot model, shape ``(rows, num_labels)``; ``co_train_labels`` reads them.
        predictions: The new label ids, shape ``(rows,)``.
        unlabeled: The target rows.

    Returns:
        A negative number where agreement is lost; None where the n-grams have no say.
    """
    first = np.asarray(probs, dtype=float)
    found = co_train_labels(first, unlabeled)
    if found.refused:
        return None
    labels = found.probs.argmax(axis=1)
    after, before = np.asarray(predictions) == labels, first.argmax(axis=1) == labels
    return float(after.mean() - before.mean())
