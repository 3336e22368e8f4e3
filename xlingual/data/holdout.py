"""Held-out rows, stratified by label."""

from __future__ import annotations

import logging
import random
from collections import defaultdict

from datasets import Dataset

__all__ = ["hold_out", "hold_out_validation"]

logger = logging.getLogger(__name__)


def hold_out(
    dataset: Dataset, *, share: float = 0.1, label_column: str = "label", seed: int = 0
) -> tuple[Dataset, Dataset]:
    """Hold out a share of the rows, the same share of every label.

    The row of a label with a single row is not held out.

    Returns:
        The other rows and the held-out ones, both in the order of the file.
    """
    by_label: dict[str, list[int]] = defaultdict(list)
    for row, label in enumerate(dataset[label_column]):
        by_label[str(label)].append(row)
    generator = random.Random(seed)
    held: set[int] = set()
    for label in sorted(by_label):
        rows = by_label[label]
        size = max(1, round(share * len(rows))) if len(rows) > 1 else 0
        held.update(generator.sample(rows, size))
    rest = [row for row in range(len(dataset)) if row not in held]
    return dataset.select(rest), dataset.select(sorted(held))


def hold_out_validation(
    sets: dict[str, Dataset], *, label_column: str = "label", seed: int = 0
) -> tuple[dict[str, Dataset], dict[str, Dataset]]:
    """Hold out a tenth of every source set for validation; sets that are too small are left whole.

    Returns:
        The training sets without those rows, and the validation sets.
    """
    training, validation = dict(sets), {}
    for name, rows in sets.items():
        rest, held = hold_out(rows, label_column=label_column, seed=seed)
        if len(held) and len(rest):
            training[name], validation[name] = rest, held
            logger.warning(
                "no --source_validation: %d of the %d rows of %s are held out for it",
                len(held), len(rows), name,
            )  # fmt: skip
    return training, validation
