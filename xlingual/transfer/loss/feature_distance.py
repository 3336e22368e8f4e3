"""Base class of losses that measure the distance between the features of the two domains."""

from __future__ import annotations

from torch import Tensor

from xlingual.tasks import SOURCE, TARGET
from xlingual.transfer.loss.base import LossInputs, TransferLoss
from xlingual.transfer.loss.prior_shift import PriorWatch

__all__ = ["FeatureDistanceLoss"]


class FeatureDistanceLoss(TransferLoss):
    """A weight times a distance between source and target features.

    Args:
        weight: Constant over the run.
    """

    needs_features = True

    def __init__(self, *, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight
        self.prior_watch = PriorWatch(self.name.upper())

    def forward(self, batch: LossInputs) -> Tensor:
        """The weighted distance within one batch."""
        self.prior_watch(batch)
        source, target = batch.features_of(SOURCE), batch.features_of(TARGET)
        return self.weight * self.distance(source, target)

    def distance(self, source: Tensor, target: Tensor) -> Tensor:
        """The distance between two sets of features, without the weight; it needs no trainer.

        Args:
            source: Features of source rows in float32, shape ``(n, hidden)``.
            target: Features of target rows, shape ``(m, hidden)``.

        Returns:
            A scalar; 0 if there are too few rows to measure it.
        """
        raise NotImplementedError
