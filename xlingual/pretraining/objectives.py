"""Pretraining losses on sentence pairs: contrast, translation bag-of-words, masked prediction."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["bag_of_words_loss", "info_nce", "language_gap", "masked_prediction_loss"]


def info_nce(
    source: Tensor,
    target: Tensor,
    *,
    temperature: float = 0.05,
    source_keys: Tensor | None = None,
    target_keys: Tensor | None = None,
) -> Tensor:
    r"""InfoNCE both ways over the pairs of a batch (van den Oord et al., 2018).

    .. math:: L = -\tfrac12 \operatorname{mean}_i \left[\log\frac{e^{s_{ii}}}{\sum_j e^{s_{ij}}}
              + \log\frac{e^{s_{ii}}}{\sum_j e^{s_{ji}}}\right],
              \quad s_{ij} = \cos(x_i, y_j) / \tau

    Args:
        source: Vectors, shape ``(batch, dim)``.
        target: Vectors of the translations, shape ``(batch, dim)``.
        temperature: :math:`\tau`; 0.05 after SimCSE.
        source_keys: Equal for rows with equal source sentences, shape ``(batch,)``. Other rows
            with the key of row i are false negatives of it and leave its sums.
        target_keys: The same for the target sentences.
    """
    scores = F.normalize(source.float(), dim=-1) @ F.normalize(target.float(), dim=-1).T
    scores = scores / temperature
    for keys in (source_keys, target_keys):
        if keys is not None:
            same = keys[:, None] == keys[None, :]
            same.fill_diagonal_(False)
            scores = scores.masked_fill(same, -torch.inf)
    gold = torch.arange(len(scores), device=scores.device)
    return (F.cross_entropy(scores, gold) + F.cross_entropy(scores.T, gold)) / 2


def language_gap(source: Tensor, target: Tensor) -> Tensor:
    r"""How far apart the two languages are as wholes, in units of the spread within them.

    .. math:: L = \frac{\lVert \bar x - \bar y \rVert^2}
              {\tfrac12 (\operatorname{tr} \Sigma_x + \operatorname{tr} \Sigma_y)}

    Contrast compares sentences across the languages only, so a constant offset between the two
    costs it little and survives (Liang et al., 2022, "Mind the Gap"); a classifier trained on one
    side then reads the other with a bias.

    Args:
        source: Vectors, shape ``(batch, dim)``.
        target: Vectors of the translations, shape ``(batch, dim)``.
    """
    source, target = source.float(), target.float()
    offset = (source.mean(0) - target.mean(0)).square().sum()
    spread = (source.var(0, correction=0).sum() + target.var(0, correction=0).sum()) / 2
    return offset / spread.clamp(min=1e-6)


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
