"""In-batch contrast between the two sides of sentence pairs."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["info_nce"]


def info_nce(
    source: Tensor,
    target: Tensor,
    *,
    temperature: float = 0.05,
    source_keys: Tensor | None = None,
    target_keys: Tensor | None = None,
) -> Tensor:
    r"""InfoNCE in both directions over the pairs of a batch (van den Oord et al., 2018).

    .. math:: L = -\tfrac12 \operatorname{mean}_i \left[\log\frac{e^{s_{ii}}}{\sum_j e^{s_{ij}}}
              + \log\frac{e^{s_{ii}}}{\sum_j e^{s_{ji}}}\right],
              \quad s_{ij} = \cos(x_i, y_j) / \tau

    Args:
        source: Vectors, shape ``(batch, dim)``.
        target: Vectors of the translations, shape ``(batch, dim)``.
        temperature: :math:`\tau`; 0.05 after SimCSE.
        source_keys: Equal for rows with equal source sentences, shape ``(batch,)``. Other rows
            with the key of row i are false negatives of it and are left out of its sums.
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
