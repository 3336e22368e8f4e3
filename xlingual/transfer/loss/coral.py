"""CORAL: the features of both domains must vary alike."""

from __future__ import annotations

import torch
from torch import Tensor

from xlingual.tasks import SOURCE, TARGET
from xlingual.transfer.loss.base import LossInputs, TransferLoss
from xlingual.transfer.loss.prior_shift import PriorWatch

__all__ = ["CoralLoss"]


class CoralLoss(TransferLoss):
    r"""Distance between the two domains' feature covariances (Sun and Saenko 2016, Deep CORAL).

    .. math:: R = w \, \frac{1}{4 d^2} \lVert C_S - C_T \rVert_F^2, \qquad
              C = \frac{1}{n - 1} \sum_i (f_i - \bar f)(f_i - \bar f)^\top

    with :math:`f` the features of *d* dimensions. Means are not compared. A batch with fewer than
    two rows of a domain has no covariance there and gives zero.

    Args:
        weight: :math:`w`, constant over the run as in the paper, which chooses it so that this loss
            and the task's are about equal at the end.
    """

    needs_features = True

    def __init__(self, *, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight
        self.prior_watch = PriorWatch("CORAL")

    def forward(self, batch: LossInputs) -> Tensor:
        """The weighted distance within one batch."""
        self.prior_watch(batch)
        return self.weight * self.distance(batch.features_of(SOURCE), batch.features_of(TARGET))

    @staticmethod
    def distance(source: Tensor, target: Tensor) -> Tensor:
        """The distance of two sets of features, without the weight; needs no trainer.

        Args:
            source: Features of source rows, shape ``(n, hidden)``, float32.
            target: Features of target rows, shape ``(m, hidden)``.

        Example:
            >>> import torch
            >>> rows = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
            >>> CoralLoss.distance(rows, 3 * rows).item()
            4.0
        """
        if min(len(source), len(target)) < 2:
            return source.new_zeros(())
        with torch.autocast(source.device.type, enabled=False):
            difference = _covariance(source) - _covariance(target)
        return difference.square().sum() / (4 * source.shape[1] ** 2)


def _covariance(features: Tensor) -> Tensor:
    centred = features - features.mean(dim=0)
    return centred.T @ centred / (len(features) - 1)
