"""Information maximisation: confident predictions whose class shares stay at a prior."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from numpy.typing import NDArray
from torch import Tensor

from xlingual.errors import ConfigError
from xlingual.tasks import TARGET
from xlingual.transfer.loss.base import LossInputs, TransferLoss

__all__ = ["InformationMaximizationLoss"]


class InformationMaximizationLoss(TransferLoss):
    r"""Low entropy for each target row, and the class prior for their mean prediction.

    .. math:: L = \lambda \left[ \frac{1}{B} \sum_i H(p_i)
              + \beta \sum_c \bar p_c \log \frac{\bar p_c}{\pi_c} \right],
              \qquad \bar p = \frac{1}{B} \sum_i p_i

    The loss of SHOT (Liang et al. 2020, "Do We Really Need to Access the Source Data?"), whose
    second term pulls towards equal class shares: with a uniform :math:`\pi` the two agree up to a
    constant. Equal shares are wrong if the target's classes are not equally frequent: rows then
    change class to even them out. So :math:`\pi` is what the model predicted before it was adapted.
    The entropy alone (Tent, Wang et al. 2021) is lowest when all rows fall into one class.

    Args:
        prior: :math:`\pi`, a share above 0 for each label; None: uniform.
        weight: :math:`\lambda`.
        diversity_weight: :math:`\beta`; 1 in the paper.

    Raises:
        ConfigError: The prior is not positive or has the wrong number of labels, or the task is
            multi-label, where probabilities do not sum to 1.
    """

    prior: Tensor

    def __init__(
        self,
        prior: Sequence[float] | NDArray | None = None,
        *,
        weight: float = 1.0,
        diversity_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.diversity_weight = diversity_weight
        shares = torch.as_tensor([] if prior is None else prior, dtype=torch.float32)
        if prior is not None and not (torch.isfinite(shares).all() and (shares > 0).all()):
            raise ConfigError(f"a prior has a share above 0 for each label; got {shares.tolist()}")
        # Not part of a checkpoint: a resumed run passes it again.
        self.register_buffer("prior", shares / shares.sum().clamp(min=1e-12), persistent=False)

    def build(self, *, hidden_size: int, num_labels: int) -> None:
        """Check that the prior has one share per label of the model."""
        if not len(self.prior):
            self.prior = torch.full((num_labels,), 1 / num_labels)
        if len(self.prior) != num_labels:
            raise ConfigError(
                f"the prior has {len(self.prior)} shares and the model {num_labels} labels; "
                "expected one share per label"
            )

    def forward(self, batch: LossInputs) -> Tensor:
        """The loss over the target rows of the batch; 0 if it has none."""
        if batch.is_multi_label:
            raise ConfigError("information maximisation needs one label per row, not multi-label")
        logits = batch.logits[batch.domain == TARGET].float()
        if not len(logits):
            return batch.logits.sum() * 0.0
        log_probs = logits.log_softmax(dim=1)
        probs = log_probs.exp()
        entropy = -(probs * log_probs).sum(dim=1).mean()
        mean = probs.mean(dim=0).clamp(min=1e-12)
        divergence = (mean * (mean / self.prior.to(mean.device)).log()).sum()
        return self.weight * (entropy + self.diversity_weight * divergence)
