"""Uncertainty weighting: learn the weight of each task or domain in the loss."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from xlingual.errors import ConfigError
from xlingual.tasks import is_labelled
from xlingual.transfer.loss.base import LossInputs, TransferLoss

__all__ = ["UncertaintyWeights"]


class UncertaintyWeights(TransferLoss):
    r"""Weighs the losses of groups of rows by learnt variances (Kendall et al. 2018).

    .. math:: L = \frac{1}{N} \sum_i \left[ e^{-s_{d(i)}} \, \lambda_{d(i)} w_i \ell_i
              + \tfrac12 s_{d(i)} \right], \qquad s_d = b \tanh(r \theta_d / b)

    with :math:`s_d = \log \sigma_d^2` of group *d* (the column ``group``), zero at the start, which
    gives the plain loss. A group whose loss stays high, from noise or difficulty, weighs less.
    The :math:`\theta_d` are trained by the run's optimizer and are not part of the saved model.
    AdamW moves a parameter by about its learning rate per step, hence the factor *r*; the bound *b*
    keeps a memorised task from taking over.

    Args:
        num_groups: Number of tasks or domains.
        rate: :math:`r`: steps of the log-variances in units of the learning rate.
        bound: :math:`b`; 2 lets weights differ from 1 by a factor of 7.4 at most.

    Raises:
        ConfigError: There are fewer than two groups, or a number is not above 0.
    """

    def __init__(self, num_groups: int, *, rate: float = 50.0, bound: float = 2.0) -> None:
        super().__init__()
        if num_groups < 2 or rate <= 0 or bound <= 0:
            raise ConfigError(
                "uncertainty weights need at least two tasks or domains, and a rate and bound "
                f"above 0; got {num_groups}, {rate} and {bound}"
            )
        self.rate, self.bound = rate, bound
        self.theta = nn.Parameter(torch.zeros(num_groups))

    @property
    def log_variances(self) -> Tensor:
        """:math:`s_d`, shape ``(num_groups,)``."""
        return self.bound * torch.tanh(self.rate * self.theta / self.bound)

    def scale_rows(self, row_losses: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
        """The bracket of the formula, zero for rows without a label.

        Raises:
            ConfigError: The rows have no column ``group``.
        """
        if "group" not in inputs:
            raise ConfigError(
                "uncertainty weights need the column group in the training rows; number_groups() "
                "makes it from domain_name"
            )
        log_variance = self.log_variances[inputs["group"]]
        weighed = torch.exp(-log_variance) * row_losses + log_variance / 2
        return weighed * is_labelled(inputs["labels"])

    def forward(self, batch: LossInputs) -> Tensor:
        """Zero: this loss only scales the row losses."""
        return batch.logits.new_zeros(())

    def metrics(self, loss: Tensor) -> dict[str, Tensor]:
        r"""The weight of each group, :math:`e^{-s_d}`."""
        weights = torch.exp(-self.log_variances.detach())
        return {f"group_weight_{group}": weight for group, weight in enumerate(weights)}
