"""CDAN: a domain discriminator that is conditioned on the classifier's predictions."""

from __future__ import annotations

import torch
from torch import Tensor

from xlingual.tasks import IGNORE_INDEX, SOURCE, TARGET
from xlingual.transfer.loss.base import LossInputs
from xlingual.transfer.loss.domain_discriminator import AdversarialLoss, DomainDiscriminator

__all__ = ["ConditionalAdversarialLoss"]

_MAX_INPUTS = 4096


class ConditionalAdversarialLoss(AdversarialLoss):
    r"""Conditional domain-adversarial training (Long et al. 2018, CDAN and CDAN+E).

    .. math:: R = D(f \otimes g; \phi, w), \qquad
              \frac{\partial}{\partial f} \to -\lambda \frac{\partial D}{\partial f}

    with :math:`D` and :math:`\lambda` as in ``DomainAdversarialLoss``, :math:`g` the predicted
    probabilities, through which no gradient flows, and row weights

    .. math:: w_i = \left(1 + e^{-H(g_i)}\right)
              \frac{[\,\hat y_i \in Y_S \cap Y_T\,]}{n_{d_i, \hat y_i}}

    :math:`H` is the entropy in nats: confident predictions count up to twice. :math:`\hat y` is the
    label of a labelled row, else the predicted label; :math:`n_{d,y}` is the number of rows of that
    class and domain in the batch, and :math:`Y` a domain's classes in it. With ``class_balanced``
    each class has the same weight in both domains, so that different class shares are not mistaken
    for a difference of the features. With several labels per row the classes are not balanced.

    Above 4,096 products the outer product is replaced, as in the paper, by
    :math:`(R_f f) \odot (R_g g) / \sqrt{d}` with fixed Gaussian :math:`R` and *d* = 1024.

    Args:
        scale: Final strength of the reversal; as in ``DomainAdversarialLoss``.
        gamma: Larger values make the strength rise earlier.
        num_hidden: Width of the discriminator; None: that of the features.
        weighs_entropy: Whether confident predictions count more (CDAN+E).
        class_balanced: Whether classes are balanced by pseudo-labels.

    Raises:
        ConfigError: ``scale`` is negative.
    """

    name = "cdan"
    feature_projection: Tensor | None
    label_projection: Tensor | None

    def __init__(
        self,
        *,
        scale: float = 0.1,
        gamma: float = 10.0,
        num_hidden: int | None = None,
        weighs_entropy: bool = True,
        class_balanced: bool = True,
    ) -> None:
        super().__init__(scale=scale, gamma=gamma, num_hidden=num_hidden)
        self.weighs_entropy = weighs_entropy
        self.class_balanced = class_balanced

    def build(self, *, hidden_size: int, num_labels: int) -> None:
        """Create the discriminator, and the projections if there are many labels."""
        num_inputs, num_projected = hidden_size * num_labels, 1024
        projections: tuple[Tensor | None, Tensor | None] = (None, None)
        if num_inputs > _MAX_INPUTS:
            num_inputs = num_projected
            projections = (
                torch.randn(hidden_size, num_projected),
                torch.randn(num_labels, num_projected),
            )
        self.register_buffer("feature_projection", projections[0])
        self.register_buffer("label_projection", projections[1])
        self.discriminator = DomainDiscriminator(num_inputs, self.num_hidden or hidden_size)

    def forward(self, batch: LossInputs) -> Tensor:
        """The discriminator's loss on one batch."""
        assert batch.features is not None
        self.prior_watch(batch)
        with torch.autocast(batch.features.device.type, enabled=False):
            loss: Tensor = self.discriminator(
                self._products(batch.features.float(), batch.probs),
                batch.domain,
                strength=self.strength(batch.progress),
                weights=self._weights(batch),
            )
        return loss

    def _products(self, features: Tensor, probs: Tensor) -> Tensor:
        if self.feature_projection is None or self.label_projection is None:
            return (features[:, :, None] * probs[:, None, :]).flatten(1)
        projected = (features @ self.feature_projection) * (probs @ self.label_projection)
        return projected / projected.shape[1] ** 0.5

    def _weights(self, batch: LossInputs) -> Tensor:
        probs = batch.probs
        weights = torch.ones_like(probs[:, 0])
        if self.weighs_entropy:
            weights = 1 + torch.exp(-_entropy(probs, is_multi_label=batch.is_multi_label))
        if self.class_balanced and not batch.is_multi_label:
            labels = torch.where(batch.labels == IGNORE_INDEX, probs.argmax(dim=1), batch.labels)
            members = torch.nn.functional.one_hot(labels, probs.shape[1]).to(probs.dtype)
            counts = [members[batch.domain == domain].sum(dim=0) for domain in (SOURCE, TARGET)]
            is_shared = (counts[0] > 0) & (counts[1] > 0)
            own = torch.where((batch.domain == TARGET)[:, None], counts[1], counts[0])
            weights = weights * (members * is_shared / own.clamp(min=1)).sum(dim=1)
        return weights


def _entropy(probs: Tensor, *, is_multi_label: bool) -> Tensor:
    """Entropy in nats, shape (batch,); for several labels, the mean over their decisions."""
    entropy = -torch.xlogy(probs, probs)
    if is_multi_label:
        return (entropy - torch.xlogy(1 - probs, 1 - probs)).mean(dim=1)
    return entropy.sum(dim=1)
