"""Collation: the rows of a batch are padded together, and their second views separately."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from transformers import DataCollatorWithPadding

__all__ = ["VIEW_PREFIX", "TransferCollator"]

VIEW_PREFIX = "view_"


class TransferCollator(DataCollatorWithPadding):
    """Pads the rows of a batch; the columns ``view_*`` are a second text of each row.

    A view (the row with some words code-switched, or its translation) has its own length, so views
    are padded separately from the rows.
    """

    def __call__(self, features: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Collate a batch; the tensors of the views are called ``view_input_ids`` and so on."""
        rows = [
            {name: value for name, value in row.items() if not name.startswith(VIEW_PREFIX)}
            for row in features
        ]
        batch = dict(super().__call__(rows))
        views = [
            {
                name.removeprefix(VIEW_PREFIX): value
                for name, value in row.items()
                if name.startswith(VIEW_PREFIX)
            }
            for row in features
        ]
        if views and views[0]:
            batch |= {f"{VIEW_PREFIX}{k}": v for k, v in super().__call__(views).items()}
        return batch
