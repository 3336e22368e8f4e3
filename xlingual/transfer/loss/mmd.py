"""Maximum mean discrepancy: give the features of both domains the same distribution."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from xlingual.transfer.loss.feature_distance import FeatureDistanceLoss

__all__ = ["MaximumMeanDiscrepancyLoss"]


class MaximumMeanDiscrepancyLoss(FeatureDistanceLoss):
    r"""Squared MMD of the features under a mixture of Gaussian kernels (Long et al. 2015, DAN).

    .. math:: R = w \left[\frac{1}{n^2} \sum_{i,j} k(s_i, s_j)
              + \frac{1}{m^2} \sum_{i,j} k(t_i, t_j)
              - \frac{2}{n m} \sum_{i,j} k(s_i, t_j)\right]

    .. math:: k(x, y) = \frac{1}{K} \sum_{u=1}^{K} \exp\left(-\frac{\lVert x - y \rVert^2}
              {2 a_u \sigma^2}\right)

    with :math:`\sigma^2` the mean squared distance over all pairs of the batch's rows, taken as a
    constant. This is the biased estimator: it is zero for identical samples and is defined for a
    domain of one row. A batch without rows of one domain gives zero.

    Args:
        weight: :math:`w`, constant over the run as in the paper.
        bandwidths: The :math:`a_u`; powers of two around 1, equally weighted.
    """

    name = "mmd"

    def __init__(
        self,
        *,
        weight: float = 1.0,
        bandwidths: Sequence[float] = (0.125, 0.25, 0.5, 1.0, 2.0),
    ) -> None:
        super().__init__(weight=weight)
        self.bandwidths = tuple(bandwidths)

    def distance(self, source: Tensor, target: Tensor) -> Tensor:
        """The formula without *w*.

        Example:
            >>> rows = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
            >>> MaximumMeanDiscrepancyLoss().distance(rows, rows).item()
            0.0
        """
        if not len(source) or not len(target):
            return source.new_zeros(())
        with torch.autocast(source.device.type, enabled=False):
            within_source, within_target, between = (
                _squared_distances(source, source),
                _squared_distances(target, target),
                _squared_distances(source, target),
            )
            total = within_source.sum() + within_target.sum() + 2 * between.sum()
            variance = total.detach() / (len(source) + len(target)) ** 2
            variance = variance.clamp(min=torch.finfo(variance.dtype).tiny)
            means = [
                self._kernel(distances, variance).mean()
                for distances in (within_source, within_target, between)
            ]
        return means[0] + means[1] - 2 * means[2]

    def _kernel(self, distances: Tensor, variance: Tensor) -> Tensor:
        kernels = [torch.exp(-distances / (2 * a * variance)) for a in self.bandwidths]
        return torch.stack(kernels).mean(dim=0)


def _squared_distances(rows: Tensor, others: Tensor) -> Tensor:
    # Not by the matrix product: its rounding would give a row a distance to itself.
    return torch.cdist(rows, others, compute_mode="donot_use_mm_for_euclid_dist").square()
