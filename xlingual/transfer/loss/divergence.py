"""Kullback-Leibler divergence between two sets of predictions, row by row."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

__all__ = ["divergence_per_row"]


def divergence_per_row(logits: Tensor, other: Tensor, *, is_multi_label: bool = False) -> Tensor:
    r"""Divergence of the predictions ``other`` from the predictions ``logits``.

    .. math:: d_i = \operatorname{KL}(p_i \,\Vert\, q_i) = \sum_c p_{ic} \log \frac{p_{ic}}{q_{ic}}

    With several labels per row, it is the mean over the labels of the divergence of each decision.

    Shape:
        Both (batch, num_labels), before softmax or sigmoid; returns (batch,), float32.
    """
    logits, other = logits.float(), other.float()
    if is_multi_label:
        yes = logits.sigmoid() * (F.logsigmoid(logits) - F.logsigmoid(other))
        no = (-logits).sigmoid() * (F.logsigmoid(-logits) - F.logsigmoid(-other))
        return (yes + no).mean(dim=1)
    log_p, log_q = logits.log_softmax(dim=1), other.log_softmax(dim=1)
    return (log_p.exp() * (log_p - log_q)).sum(dim=1)
