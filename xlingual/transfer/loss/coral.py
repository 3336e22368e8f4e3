"""CORAL: align the feature covariances of both domains."""

from __future__ import annotations

import torch
from torch import Tensor

from xlingual.transfer.loss.feature_distance import FeatureDistanceLoss

__all__ = ["CoralLoss"]


class CoralLoss(FeatureDistanceLoss):
    r"""Distance between the two domains' feature covariances (Sun and Saenko 2016, Deep CORAL).

    .. math:: R = w \, \frac{1}{4 d^2} \lVert C_S - C_T \rVert_F^2, \qquad
              C = \frac{1}{n - 1} \sum_i (f_i - \bar f)(f_i - \bar f)^\top

    with :math:`f` the features of *d* dimensions. Means are not compared. A batch with fewer than
    two rows of a domain has no covariance there and gives zero.

    Args:
        weight: :math:`w`, constant over the run as in the paper, which chooses it so that this loss
            and the task's are about equal at the end.
    """

    def distance(self, source: Tensor, target: Tensor) -> Tensor:
        """The formula without *w*.

        Example:
            >>> rows = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
            >>> CoralLoss().distance(rows, 3 * rows).item()
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
