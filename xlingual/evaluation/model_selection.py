"""A score to choose between models without target labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from xlingual.errors import ConfigError, DataError

__all__ = ["bitext_agreement"]


def bitext_agreement(
    source_predictions: ArrayLike,
    target_predictions: ArrayLike,
    *,
    source_accuracy: float,
    num_labels: int,
    min_entropy: float = 0.5,
) -> float:
    r"""A score for model selection: both sides of held-out pairs should get the same class.

    .. math:: a \cdot \frac{1}{n} \sum_i [\hat y_i^s = \hat y_i^t]
        \cdot \min\Big(1, \frac{H}{h \log C}\Big)

    with the source accuracy *a* and the entropy *H* of the classes predicted on the target side. A
    constant predictor agrees with itself everywhere; the last factor makes it score 0. The score
    ranks models and says little about their accuracy.

    Args:
        source_predictions: Label ids of the source sides, shape ``(pairs,)``.
        target_predictions: Label ids of the target sides, in the same order.
        source_accuracy: Accuracy on labelled source rows that were not trained on.
        num_labels: *C*.
        min_entropy: *h*: the score is reduced below this share of the maximum entropy.

    Raises:
        DataError: No pairs, shapes that differ, or ids out of range.
        ConfigError: ``source_accuracy`` or ``min_entropy`` out of range.
    """
    source, target = np.asarray(source_predictions), np.asarray(target_predictions)
    if source.ndim != 1 or source.shape != target.shape or not len(source):
        raise DataError(
            "expected one predicted label id per side of at least one pair; got shapes "
            f"{source.shape} and {target.shape}"
        )
    both = np.concatenate([source, target])
    if num_labels < 2 or both.min() < 0 or both.max() >= num_labels:
        raise DataError(
            f"expected label ids from 0 to {num_labels - 1} of two labels or more; got "
            f"{both.min()} to {both.max()}"
        )
    if not (0 <= source_accuracy <= 1 and 0 < min_entropy <= 1):
        raise ConfigError(
            "expected a source_accuracy from 0 to 1 and a min_entropy above 0, up to 1; got "
            f"{source_accuracy} and {min_entropy}"
        )
    shares = np.bincount(target, minlength=num_labels) / len(target)
    entropy = -(shares[shares > 0] * np.log(shares[shares > 0])).sum()
    spread = min(1.0, entropy / (min_entropy * np.log(num_labels)))
    return float(source_accuracy * (source == target).mean() * spread)
