"""A second view of unlabelled text: an n-gram classifier learnt from a model's predictions."""

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
    """Target rows and the labels that the n-gram classifier gives them.

    Attributes:
        rows: Numbers of the most confident rows of every class, ascending.
        labels: Their label ids.
        probs: Probabilities of all rows by the n-grams, shape ``(rows, num_labels)``; naive Bayes
            is far overconfident, so only their order means anything.
        refused: Why these labels must not be used; empty if they may.
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
    r"""Label target rows by an n-gram classifier learnt from a zero-shot model's predictions.

    An encoder that was fine-tuned on English reads Chinese text through what the two languages
    share, and misses what only Chinese expresses, in row after row. A second view, naive Bayes over
    the n-grams of the target text itself, is fitted on the rows that the first is most confident
    of, as many of each class as the first view's prior says. It does not know the first view's
    features, so their errors are noise to it, while the words that go along with them (热情, 失望)
    are not. A student trained on its labels gets both. After Blum and Mitchell (1998), and Wan
    (2009), who co-trained an English and a Chinese view of the same reviews.

    Each round takes the rows with the largest margin
    :math:`\log p_c - \max_{c' \ne c} \log p_{c'}`, first by the model, then by the n-grams
    themselves. N-grams have 1 to 3 characters in scripts without spaces, else 1 or 2 words; each
    counts once per row.

    Args:
        probs: Predictions of the zero-shot model, shape ``(rows, num_labels)``.
        unlabeled: The target rows; a label column in them is never read.
        rounds: How often the n-gram classifier is fitted.
        share: Share of the rows that a fit uses, and of the rows that are labelled in the end.
        max_prior_shift: Labels that move a class's share of the rows by more are refused.
        min_agreement: So are labels that agree with the model's on fewer rows.
        min_rows_per_label: With fewer rows the n-grams of a class are too rare to be trusted: 300
            rows of two labels gained 5 points (reviews), 700 of seven lost 4 (topics).

    Returns:
        The labels; ``refused`` says why if they show a sign of collapse.

    Raises:
        ConfigError: ``rounds`` is below 1, or ``share`` is not in (0, 1].
        DataError: The numbers of rows and probabilities differ, or there are none.
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
            refused=f"the n-grams agree with the model on {agreement:.0%} of the rows and move a "
            f"class by {shift:.0%} of them"
        )
    return found


def ngram_gain(probs: ArrayLike, predictions: ArrayLike, unlabeled: Dataset) -> float | None:
    """The gain of new predictions in agreement with the n-grams, as a share of the rows.

    Args:
        probs: Predictions of the zero-shot model, shape ``(rows, num_labels)``, for
            ``co_train_labels``.
        predictions: The new label ids, shape ``(rows,)``.
        unlabeled: The target rows.

    Returns:
        A negative number if agreement is lost; None if the n-grams' labels are refused.
    """
    first = np.asarray(probs, dtype=float)
    found = co_train_labels(first, unlabeled)
    if found.refused:
        return None
    labels = found.probs.argmax(axis=1)
    after, before = np.asarray(predictions) == labels, first.argmax(axis=1) == labels
    return float(after.mean() - before.mean())
