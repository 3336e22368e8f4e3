"""Pretraining losses on sentence pairs: language gap, translation bag-of-words, prediction."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["bag_of_words_loss", "masked_prediction_loss"]


def bag_of_words_loss(logits: Tensor, ids: Tensor, wanted: Tensor) -> Tensor:
    r"""Translation bag-of-words: predict the tokens of the other side from a sentence vector.

    .. math:: L = -\operatorname{mean}_i \frac{1}{|T_i|} \sum_{t \in T_i} \log \text{softmax}(l_i)_t

    Mao et al. (2021), EMS.

    Args:
        logits: Scores over the vocabulary, shape ``(batch, vocab_size)``.
        ids: Token ids of the other side, padded, shape ``(batch, length)``.
        wanted: True where ``ids`` holds a token to predict, same shape.
    """
    gathered = torch.log_softmax(logits.float(), dim=-1).gather(1, ids)
    totals = wanted.sum(1).clamp(min=1)
    return -((gathered * wanted).sum(1) / totals).mean()


def masked_prediction_loss(
    hidden: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, *, negatives: Tensor
) -> Tensor:
    r"""Cross-entropy of masked tokens over a subset of the vocabulary.

    The subset is the gold tokens of the batch with ``negatives``; on a CPU the full softmax over
    18,000 pieces would cost more than the encoder. With every id in ``negatives`` it is exact.

    Args:
        hidden: Head outputs at the masked positions, shape ``(masked, dim)``.
        weight: Decoder matrix, shape ``(vocab_size, dim)``.
        bias: Decoder bias, shape ``(vocab_size,)``.
        labels: Gold ids, shape ``(masked,)``.
        negatives: Ids drawn at random, shape ``(negatives,)``.
    """
    candidates, positions = torch.unique(torch.cat([labels, negatives]), return_inverse=True)
    logits = F.linear(hidden, weight[candidates], bias[candidates])
    return F.cross_entropy(logits.float(), positions[: len(labels)])
