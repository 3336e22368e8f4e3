"""R-Drop: two noisy passes over a row must agree."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import torch
from torch import Tensor

from xlingual.errors import ConfigError
from xlingual.transfer.loss.base import LossInputs, TransferLoss, model_inputs
from xlingual.transfer.loss.divergence import divergence_per_row

__all__ = ["RDropLoss"]

logger = logging.getLogger(__name__)

_BATCHES_TO_JUDGE = 3


class RDropLoss(TransferLoss):
    r"""Symmetric divergence between two dropout passes over the same rows (Liang et al. 2021).

    .. math:: R = w \, \frac{1}{n} \sum_i \tfrac12 \left[\operatorname{KL}(p_i \Vert \tilde p_i)
              + \operatorname{KL}(\tilde p_i \Vert p_i)\right]

    with :math:`p_i` the prediction of the batch's pass and :math:`\tilde p_i` that of a second
    pass over the same rows, in the same forward call. Rows without a label take part. The paper
    adds the task's losses of both passes; here that of the first stands for their mean, so
    :math:`w` is half of its :math:`\alpha`. A step costs twice as much.

    An encoder without dropout (the embedded one, and ModernBERT as published) predicts the same in
    both passes, so the loss is zero. It needs another kind of noise: ``token_cutoff`` hides a
    random share of the tokens from the second pass (token cutoff with the same consistency term,
    Shen et al. 2020). R3F (Aghajanyan et al. 2021) adds noise of 1e-5 to the embeddings instead;
    that changes predictions by less than bfloat16 can resolve, and it needs access to the model's
    layers, while hidden tokens are plain model inputs.

    Args:
        weight: :math:`w`; 1 to 5 are usual, and 1 is the mild end.
        token_cutoff: Share of tokens hidden from the second pass; 0 relies on dropout, 0.1 to 0.15
            for models without it. The first token of a row is never hidden.
        seed: Seed of the hidden tokens, which depend on it and the step alone.

    Raises:
        ConfigError: ``weight`` is negative or ``token_cutoff`` outside [0, 1).
    """

    def __init__(self, *, weight: float = 1.0, token_cutoff: float = 0.0, seed: int = 0) -> None:
        super().__init__()
        if weight < 0 or not 0 <= token_cutoff < 1:
            raise ConfigError(
                "R-Drop needs a weight of at least 0 and a token_cutoff in [0, 1); "
                f"got {weight} and {token_cutoff}"
            )
        self.weight = weight
        self.token_cutoff = token_cutoff
        self.seed = seed
        self._num_equal = 0

    def extra_rows(self, inputs: Mapping[str, Tensor], *, step: int) -> dict[str, Tensor]:
        """The batch's rows once more, with tokens hidden if ``token_cutoff`` is set."""
        rows = dict(model_inputs(inputs))
        if self.token_cutoff:
            mask = rows["attention_mask"]
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
            noise = torch.rand(mask.shape, generator=generator).to(mask.device)
            is_first = mask.cumsum(dim=1) == 1
            rows["attention_mask"] = mask * ((noise >= self.token_cutoff) | is_first)
        return rows

    def forward(self, batch: LossInputs) -> Tensor:
        """The mean over the rows of the batch."""
        assert batch.extra_logits is not None
        first, second = batch.logits, batch.extra_logits
        self._warn_without_noise(first, second)
        kind = batch.is_multi_label
        there = divergence_per_row(first, second, is_multi_label=kind)
        back = divergence_per_row(second, first, is_multi_label=kind)
        return self.weight * (there + back).mean() / 2

    def _warn_without_noise(self, first: Tensor, second: Tensor) -> None:
        # One batch is not enough: at step 0 a fresh LoRA adapter adds nothing, even with dropout.
        if not 0 <= self._num_equal < _BATCHES_TO_JUDGE:
            return
        is_equal = torch.allclose(first.detach(), second.detach(), rtol=1e-3, atol=1e-3)
        self._num_equal = self._num_equal + 1 if is_equal else -1
        if self._num_equal == _BATCHES_TO_JUDGE:
            logger.warning(
                "R-Drop does nothing: both passes predict the same, so the model seems to have no "
                "dropout; load it with dropout, or give RDropLoss(token_cutoff=0.1)"
            )
