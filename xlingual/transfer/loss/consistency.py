"""Consistency: a row and its second view must get the same prediction."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from xlingual.errors import ConfigError
from xlingual.transfer.loss.base import LossInputs, TransferLoss, view_inputs
from xlingual.transfer.loss.divergence import divergence_per_row

__all__ = ["ConsistencyLoss"]


class ConsistencyLoss(TransferLoss):
    r"""Divergence of the second view's prediction from the clean one (Zheng et al. 2021, xTune).

    .. math:: R = w \, \frac{1}{n} \sum_i m_i \operatorname{KL}(p_i \,\Vert\, q_i), \qquad
              m_i = [\max_c p_{ic} \ge \theta]

    with :math:`p_i` the prediction for the row, through which no gradient flows, and :math:`q_i`
    that for its view: the row with words code-switched (``code_switch``) or its translation. The
    clean side, in the language of the labels, teaches the other, never the reverse; rows without a
    label take part. With several labels per row, :math:`m_i` is 1 if every decision is that
    confident. A step costs up to twice as much.

    Args:
        weight: :math:`w`; 1, as in bitext consistency.
        confidence_threshold: :math:`\theta`; 0 takes every row. For unlabelled rows, 0.6 to 0.8
            keeps guesses from being taught (Xie et al. 2020, UDA).

    Raises:
        ConfigError: ``weight`` is negative or ``confidence_threshold`` outside [0, 1).
    """

    def __init__(self, *, weight: float = 1.0, confidence_threshold: float = 0.0) -> None:
        super().__init__()
        if weight < 0 or not 0 <= confidence_threshold < 1:
            raise ConfigError(
                "the consistency loss needs a weight of at least 0 and a confidence_threshold in "
                f"[0, 1); got {weight} and {confidence_threshold}"
            )
        self.weight = weight
        self.confidence_threshold = confidence_threshold

    def extra_rows(self, inputs: Mapping[str, Tensor], *, step: int) -> dict[str, Tensor]:
        """The views of the batch.

        Raises:
            ConfigError: The rows have no views.
        """
        views = view_inputs(inputs)
        if not views:
            raise ConfigError(
                "the consistency loss compares each row with its view, but the training rows have "
                "no column view_text; make it with code_switch(), or put translations there"
            )
        return views

    def forward(self, batch: LossInputs) -> Tensor:
        """The mean over the rows of the batch."""
        assert batch.extra_logits is not None
        probs, kind = batch.probs, batch.is_multi_label
        divergence = divergence_per_row(
            batch.logits.detach(), batch.extra_logits, is_multi_label=kind
        )
        confidence = probs.maximum(1 - probs).amin(dim=1) if kind else probs.amax(dim=1)
        return self.weight * (divergence * (confidence >= self.confidence_threshold)).mean()
