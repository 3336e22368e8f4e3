"""Self-training of a linear head on frozen features: rounds that take a second each."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import softmax

from xlingual.errors import DataError
from xlingual.transfer.data.pseudo_labels import choose_by_margin, class_change, predicted_prior
from xlingual.transfer.model.linear_head import LinearMap, fit_linear

__all__ = ["self_train_head"]

logger = logging.getLogger(__name__)


def self_train_head(
    head: LinearMap,
    features: ArrayLike,
    *,
    shares: Sequence[float] = (0.2, 0.4, 0.8),
    strength: float = 1e-2,
    max_prior_shift: float = 0.2,
    min_agreement: float = 2 / 3,
) -> LinearMap:
    r"""Refit a head on the target rows whose labels the previous head is most confident of.

    In each round every class gets :math:`\text{share} \cdot \pi_c \cdot n` rows, those with the
    largest margin :math:`\log p_c - \max_{c' \ne c} \log p_{c'}`, where :math:`\pi` is the smoothed
    prior that the first head predicted (re-estimated, it drifts towards one half). Logistic
    regression is fitted on these rows alone: the source has already shaped the first labels, and
    its words for the classes are not the target's.

    On frozen features a linear head cannot simply memorise its teacher's mistakes, as a fine-tuned
    encoder does. With fewer rows of a class than features it could, so the head is left as it is.

    Args:
        head: Fitted on source rows; reads the target zero-shot.
        features: Features of target rows without labels, shape ``(rows, hidden)``.
        shares: Share of the rows used in each round.
        strength: Inverse penalty of logistic regression, on standardised features.
        max_prior_shift: A head that moves a class's share of the rows by more is refused.
        min_agreement: So is one that agrees with the first head on fewer rows.

    Returns:
        The head of the last round, or the first one if the last shows a sign of collapse or there
        are too few rows.

    Raises:
        DataError: Features of the wrong width, or not finite.
    """
    rows = np.asarray(features, dtype=float)
    if rows.ndim != 2 or rows.shape[1] != head.weight.shape[1] or not np.isfinite(rows).all():
        raise DataError(
            f"expected finite features (rows, {head.weight.shape[1]}); got {rows.shape}"
        )
    num_labels = len(head.bias)
    needed = num_labels * rows.shape[1]
    if len(rows) < needed:
        logger.warning(
            "self-training of the head is skipped: %d target rows are too few, %d features and %d "
            "labels need %d", len(rows), rows.shape[1], num_labels, needed,
        )  # fmt: skip
        return head
    first = softmax(head(rows), axis=1)
    prior, kept = predicted_prior(first), head
    for share in shares:
        chosen, labels = choose_by_margin(kept(rows), share=share, prior=prior)
        kept = fit_linear(rows[chosen], labels, num_labels=num_labels, strength=strength, seed=0)
        logger.info("self-training of the head: %d rows", len(chosen))
    before, after = first.argmax(axis=1), kept(rows).argmax(axis=1)
    shift, agreement = class_change(before, after, num_labels=num_labels)
    if agreement < min_agreement or shift > max_prior_shift:
        logger.warning(
            "self-training of the head is refused: it agrees with the first on %.0f%% of the rows "
            "and moves a class by %.0f%% of them", 100 * agreement, 100 * shift,
        )  # fmt: skip
        return head
    return kept
