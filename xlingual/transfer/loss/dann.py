"""DANN: features that do not reveal the domain of a row."""

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
    :math:`f`, both domains having the same weight, and *p* the share of the training that is done.
    One backward pass trains the discriminator to tell the domains apart and the encoder to prevent
    it. The discriminator is trained by the run's optimizer and is not part of the saved model.

    Without labels nothing says which class a target row belongs to: if the class shares of the two
    domains differ, the method does harm, and a warning is logged. Mix source and target rows half
    and half (``target_share=0.5``); a batch of one domain gives zero.

    Args:
        scale: Final strength. The paper's 1 is for images; 0.1 preserves what a fine-tuned encoder
            has learnt.
        gamma: Larger values make :math:`\lambda` rise earlier; 10 in the paper.
        num_hidden: Width of the discriminator; None: that of the features.

    Raises:
        ConfigError: ``scale`` is negative.
    """

    name = "dann"

    def build(self, *, hidden_size: int, num_labels: int) -> None:
        """Create the discriminator."""
        self.discriminator = DomainDiscriminator(hidden_size, self.num_hidden or hidden_size)

    def forward(self, batch: LossInputs) -> Tensor:
        """The discriminator's loss on one batch."""
        assert batch.features is not None
        self.prior_watch(batch)
        strength = self.strength(batch.progress)
        loss: Tensor = self.discriminator(batch.features, batch.domain, strength=strength)
        return loss
