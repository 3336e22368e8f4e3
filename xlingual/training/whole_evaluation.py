"""Evaluation and prediction of every row, even if training drops incomplete batches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers import Trainer

__all__ = ["WholeEvaluation"]


class WholeEvaluation(Trainer):
    """A ``Trainer`` whose ``dataloader_drop_last`` applies to training only."""

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        """Batches of every row of an evaluation set."""
        with self._every_row():
            return super().get_eval_dataloader(eval_dataset)

    def get_test_dataloader(self, test_dataset: Any) -> Any:
        """Batches of every row to predict."""
        with self._every_row():
            return super().get_test_dataloader(test_dataset)

    @contextmanager
    def _every_row(self) -> Iterator[None]:
        asked, self.args.dataloader_drop_last = self.args.dataloader_drop_last, False
        try:
            yield
        finally:
            self.args.dataloader_drop_last = asked
