"""N-grams of unlabelled text: a second view of a model's predictions that reads no labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xlingual.evaluation.label_arrays import gives_one_label
from xlingual.languages import detect_script

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = [
    "MIN_ROWS_PER_LABEL",
    "count_ngrams",
    "fit_naive_bayes",
    "ngram_agreement",
    "reason_against",
]

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]

MIN_ROWS_PER_LABEL = 150
"""Fewest rows per label; with fewer, the n-grams of a class are too rare to be trusted."""

_UNSPACED = frozenset(("Hans", "Hant", "Hani", "Jpan", "Thai"))
_SCRIPT_SAMPLE = 200
_MIN_ROWS_WITH_NGRAM = 3


def ngram_agreement(
    probs: ArrayLike,
    unlabeled: Dataset,
    *,
    num_folds: int = 5,
    min_rows_per_label: int = MIN_ROWS_PER_LABEL,
) -> NDArray[np.bool_] | None:
    """Whether a cross-fitted n-gram classifier predicts the same label as the model, row by row.

    Two learners with independent errors disagree about as often as one of them errs (Jiang et al.
    2022). The second one here is naive Bayes over the n-grams of the target text, fitted on the
    model's predictions for the other folds. It learns the label that the model gives to most rows
    with a word, not its occasional errors. It also learns the model's systematic errors, so the
    agreement is optimistic. Rows with the same text share a fold.

    Args:
        probs: Probabilities of the zero-shot model on the target rows, shape
            ``(rows, num_labels)``. For a model that was itself trained on predictions of n-grams,
            the agreement is meaningless.
        unlabeled: The target rows; a label column is never read.
        num_folds: Number of folds.
        min_rows_per_label: With fewer rows the n-grams of a class are too rare.

    Returns:
        Shape ``(rows,)``; None if n-grams do not apply, for example to pairs.
    """
    first = np.asarray(probs, dtype=float)
    num_labels = first.shape[-1]
    if reason_against(first, unlabeled, min_rows_per_label):
        return None
    texts = list(unlabeled["text"])
    ngrams = count_ngrams(texts)
    if ngrams is None:
        return None
    _, text_ids = np.unique(texts, return_inverse=True)
    folds, predictions = text_ids % num_folds, first.argmax(axis=1)
    agrees = np.zeros(len(first), dtype=bool)
    for fold in range(num_folds):
        rows, others = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        predicted = fit_naive_bayes(ngrams, others, predictions[others], num_labels)[rows]
        agrees[rows] = predicted.argmax(axis=1) == predictions[rows]
    return agrees


def reason_against(probs: Floats, unlabeled: Dataset, min_rows_per_label: int) -> str:
    """The reason why n-grams cannot predict the labels of these rows; empty if they can."""
    columns = unlabeled.column_names
    if "text" not in columns or "text_pair" in columns:
        return (
            "it reads rows of one text each; the words of a pair or of a tagged sentence do not "
            "determine its label"
        )
    if not gives_one_label(probs):
        return "it is for one label a row"
    needed = min_rows_per_label * probs.shape[1]
    if len(unlabeled) < needed:
        return f"{len(unlabeled)} target rows are too few, {needed} are needed for these labels"
    return ""


def count_ngrams(texts: Sequence[str]) -> Any:
    """A sparse matrix of the n-grams in each row; None if no n-gram is in three rows."""
    from sklearn.feature_extraction.text import CountVectorizer

    scripts = Counter(detect_script(text) for text in texts[:_SCRIPT_SAMPLE])
    is_unspaced = scripts.most_common(1)[0][0] in _UNSPACED
    counter = CountVectorizer(
        analyzer="char" if is_unspaced else "word",
        ngram_range=(1, 3) if is_unspaced else (1, 2),
        token_pattern=None if is_unspaced else r"(?u)\w+",
        min_df=_MIN_ROWS_WITH_NGRAM,
        binary=True,
    )
    try:
        return counter.fit_transform(texts)
    except ValueError:  # the vocabulary is empty
        return None


def fit_naive_bayes(ngrams: Any, rows: Ids, labels: Ids, num_labels: int) -> Floats:
    """Fit multinomial naive Bayes on some rows; return log-probabilities for all rows."""
    from sklearn.naive_bayes import MultinomialNB

    # partial_fit takes the list of classes, so that one without rows keeps its column.
    model = MultinomialNB().partial_fit(ngrams[rows], labels, classes=np.arange(num_labels))
    found: Floats = model.predict_log_proba(ngrams)
    return found
