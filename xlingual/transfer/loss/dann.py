"""DANN: features by which nobody can tell the domains apart."""

from __future__ import annotations

from torch import Tensor

from xlingual.transfer.loss.base import LossInputs
from xlingual.transfer.loss.domain_discriminator import AdversarialLoss, DomainDiscriminator

__all__ = ["DomainAdversarialLoss"]


class DomainAdversarialLoss(AdversarialLoss):
    r"""Domain-adversarial training by gradient reversal (Ganin et al. 2016).

    .. math:: R = D(f; \phi), \qquad
              \frac{\partial}{\partial f} \to -\lambda \frac{\partial D}{\partial f}, \qquad
              \lambda = \text{scale} \left(\frac{2}{1 + e^{-\gamma p}} - 1\right)

    with *D* the cross-entropy of a two-layer discriminator :math:`\phi` that reads the features
    :math:`f`, both domains weighing the same, and *p* the share of the training that is over. One
    backward pass trains the discriminator to tell the domains apart and the encoder to prevent it.
    The discriminator belongs to the run's optimizer and not to the saved model.

    Without labels nothing says which target rows belong to which class: where the domains hold the
    classes in different shares it does harm, and a warning is logged. Mix source and target rows
    half and half (``target_share=0.5``); a batch of one domain gives zero.

    Args:
        scale: Final strength. The paper's 1 is for images; 0.1 leaves a fine-tuned encoder what it
            knows.
        gamma: How early :math:`\lambda` rises; 10 in the paper.
        num_hidden: Width of the discriminator; None: that of the features.

    Raises:
        ConfigError: ``scale`` is negative.
    """

    name = "dann"

    def build(self, *, hidden_size: int, num_labels: int) -> None:
        """Make the discriminator."""
        self.discriminator = DomainDiscriminator(hidden_size, self.num_hidden or hidden_size)

    def forward(self, batch: LossInputs) -> Tensor:
        """The discriminator's loss on one batch."""
        assert batch.features is not None
        self.prior_watch(batch)
        strength = self.strength(batch.progress)
        loss: Tensor = self.discriminator(batch.features, batch.domain, strength=strength)
        return loss
