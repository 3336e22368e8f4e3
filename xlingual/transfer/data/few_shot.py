"""Few-shot sampling: k labelled target rows per label, some of them held out."""

from __future__ import annotations

import logging
import random
from collections import defaultdict

from datasets import Dataset

from xlingual.errors import DataError
from xlingual.labels import normalize_label

__all__ = ["sample_few_shot"]

logger = logging.getLogger(__name__)


def sample_few_shot(
    dataset: Dataset,
    *,
    shots_per_label: int,
    held_out_share: float = 0.25,
    label_column: str = "label",
    seed: int = 0,
) -> tuple[Dataset, Dataset]:
    """Sample k rows of every label, and split them into training shots and held-out shots.

    The held-out shots are part of the k, never more labels than the user said they have. They
    decide one thing only: whether the few-shot model is kept over the zero-shot one.

    Args:
        dataset: Labelled target rows.
        shots_per_label: k, the number of rows per label.
        held_out_share: Share of each label's shots kept out of training; at least one row of a
            label that has two or more is trained on.
        label_column: The column of label names.
        seed: Seed of the sample.

    Returns:
        The training shots and the held-out shots.

    Raises:
        DataError: k is not positive, the data set has fewer than two labels or no label column,
            or its rows have lists of labels.

    Example:
        >>> rows = {"text": ["好", "很好", "差", "很差"], "label": ["pos", "pos", "neg", "neg"]}
        >>> shots, held_out = sample_few_shot(
        ...     Dataset.from_dict(rows), shots_per_label=2, held_out_share=0.5
        ... )
        >>> len(shots), len(held_out)
        (2, 2)
    """
    if shots_per_label < 1:
        raise DataError(f"shots_per_label must be at least 1; got {shots_per_label}")
    by_label = _rows_by_label(dataset, label_column)
    if len(by_label) < 2:
        raise DataError(
            f"few-shot transfer needs target rows of at least two labels; got "
            f"{', '.join(by_label) or 'none'}"
        )
    generator = random.Random(seed)
    training: list[int] = []
    held_out: list[int] = []
    for label in sorted(by_label):
        rows = by_label[label]
        if len(rows) < shots_per_label:
            logger.warning(
                "label %r has %d target rows, fewer than the %d shots asked for; all are used",
                label, len(rows), shots_per_label,
            )  # fmt: skip
        chosen = generator.sample(rows, min(shots_per_label, len(rows)))
        num_held_out = min(max(1, round(held_out_share * len(chosen))), len(chosen) - 1)
        held_out += chosen[:num_held_out]
        training += chosen[num_held_out:]
    return dataset.select(training), dataset.select(held_out)


def _rows_by_label(dataset: Dataset, label_column: str) -> dict[str, list[int]]:
    """Positions of the rows of each label, however different files spell it."""
    if label_column not in dataset.column_names:
        raise DataError(
            f"few-shot transfer needs the column {label_column!r}; the data set has "
            f"{', '.join(dataset.column_names)}"
        )
    by_label: dict[str, list[int]] = defaultdict(list)
    for row, label in enumerate(dataset[label_column]):
        if isinstance(label, list):
            raise DataError(
                "few-shot transfer samples k rows of each label, so it needs one label per row; "
                f"got a list of labels, {label}; for the multi_label task use the joint recipe"
            )
        if label is not None:
            by_label[normalize_label(label)].append(row)
    return by_label
