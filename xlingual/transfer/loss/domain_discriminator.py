"""Shared parts of the adversarial losses: gradient reversal, its schedule, the discriminator."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xlingual.errors import ConfigError
from xlingual.tasks import SOURCE, TARGET
from xlingual.transfer.loss.base import TransferLoss
from xlingual.transfer.loss.prior_shift import PriorWatch

__all__ = ["AdversarialLoss", "DomainDiscriminator", "reversal_strength"]


def reversal_strength(progress: float, *, scale: float, gamma: float = 10.0) -> float:
    r"""Strength of the gradient reversal, by the share of the training that is done.

    .. math:: \lambda = \text{scale} \left(\frac{2}{1 + e^{-\gamma p}} - 1\right)

    Ganin et al. (2016): zero at first, while the discriminator is untrained.
    """
    return scale * (2 / (1 + math.exp(-gamma * progress)) - 1)


class _GradientReversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * gradients[0], None


class DomainDiscriminator(nn.Module):
    r"""A two-layer domain classifier behind a gradient reversal.

    .. math:: D = \tfrac12 \sum_{d \in \{S, T\}} \frac{1}{\sum_{i \in d} w_i}
              \sum_{i \in d} w_i \log\left(1 + e^{\mp z_i}\right), \qquad
              z_i = a^\top \max(0, W h_i + b) + c

    with the upper sign for target rows; both domains have the same weight, however many rows they
    have. A batch without (weighted) rows of one domain gives zero, but the loss still depends on
    every parameter, as DDP requires.

    Attributes:
        accuracy: Balanced accuracy on the last batch, the mean over the two domains: 0.5 is chance.
            NaN if a domain has no rows.

    Args:
        num_inputs: Dimensions of its input.
        num_hidden: Width of the hidden layer.
    """

    def __init__(self, num_inputs: int, num_hidden: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(num_inputs, num_hidden)
        self.output = nn.Linear(num_hidden, 1)
        self.accuracy = torch.tensor(float("nan"))

    def forward(
        self, rows: Tensor, domain: Tensor, *, strength: float, weights: Tensor | None = None
    ) -> Tensor:
        """The discriminator's loss; its gradient reaches the rows times ``-strength``."""
        with torch.autocast(rows.device.type, enabled=False):
            rows = _GradientReversal.apply(rows.to(self.hidden.weight.dtype), strength)
            scores = self.output(torch.relu(self.hidden(rows))).squeeze(1).float()
            is_target = (domain == TARGET).float()
            self.accuracy = _balanced_accuracy(scores.detach(), is_target)
            losses = F.binary_cross_entropy_with_logits(scores, is_target, reduction="none")
            if weights is None:
                weights = torch.ones_like(losses)
            return (_balanced(weights.to(losses.dtype), domain) * losses).sum()


def _balanced_accuracy(scores: Tensor, is_target: Tensor) -> Tensor:
    is_right = ((scores > 0).float() == is_target).float()
    members = torch.stack([1 - is_target, is_target])
    return ((members * is_right).sum(dim=1) / members.sum(dim=1)).mean()


def _balanced(weights: Tensor, domain: Tensor) -> Tensor:
    """Weights that sum to one half in each domain; all zero if a domain has no weight."""
    parts = [weights * (domain == d) for d in (SOURCE, TARGET)]
    totals = [part.sum() for part in parts]
    has_both = (totals[0] > 0) & (totals[1] > 0)
    shares = [
        part / torch.where(total > 0, total, 1.0) for part, total in zip(parts, totals, strict=True)
    ]
    return (shares[0] + shares[1]) / 2 * has_both


class AdversarialLoss(TransferLoss):
    """Base class of losses that train an encoder against a domain discriminator.

    Args:
        scale: Final strength of the reversal.
        gamma: Larger values make the strength rise earlier.
        num_hidden: Width of the discriminator; None: that of the features.

    Raises:
        ConfigError: ``scale`` is negative.
    """

    needs_features = True
    discriminator: DomainDiscriminator

    def __init__(
        self, *, scale: float = 0.1, gamma: float = 10.0, num_hidden: int | None = None
    ) -> None:
        super().__init__()
        if scale < 0:
            raise ConfigError(f"the reversal's scale must be at least 0; got {scale}")
        self.scale = scale
        self.gamma = gamma
        self.num_hidden = num_hidden
        self.prior_watch = PriorWatch(self.name.upper())

    def strength(self, progress: float) -> float:
        """Strength of the reversal at this point of the training."""
        return reversal_strength(progress, scale=self.scale, gamma=self.gamma)

    def metrics(self, loss: Tensor) -> dict[str, Tensor]:
        """The loss and the discriminator's accuracy."""
        accuracy = self.discriminator.accuracy
        return {**super().metrics(loss), "discriminator_accuracy": accuracy}
