"""Embedding propagation: tokens unseen in training follow their nearest seen neighbours."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from xlingual.errors import DataError

__all__ = ["propagate_embeddings"]

_ROWS_AT_A_TIME = 4096


@torch.no_grad()
def propagate_embeddings(
    before: Tensor,
    after: Tensor,
    *,
    is_seen: Tensor,
    num_neighbors: int = 20,
    temperature: float = 0.2,
) -> Tensor:
    r"""Move the embeddings of unseen tokens as training moved their nearest seen neighbours.

    .. math:: e'_u = e_u + \sum_{s \in N_k(u)} \frac{\exp(\cos(e_u, e_s) / \tau)}
              {\sum_{s' \in N_k(u)} \exp(\cos(e_u, e_{s'}) / \tau)} \; (e'_s - e_s)

    Fine-tuning on English sends no gradient to the rows of Chinese tokens. A frozen table learns
    nothing about the task; in a trained one the two halves drift apart. If the table is aligned
    across the languages, what was learnt about *excellent* carries over to 优秀, which was close to
    it before training. Tokens seen in training keep what they learnt.

    Args:
        before: The table before training, shape ``(vocab_size, dim)``.
        after: The table after training, the same shape.
        is_seen: Which tokens occurred in training, shape ``(vocab_size,)``.
        num_neighbors: k.
        temperature: :math:`\tau`; small values follow the nearest neighbour alone, and much of a
            single token's movement is noise.

    Returns:
        The new table.

    Raises:
        DataError: The shapes do not match.
    """
    if before.shape != after.shape or is_seen.shape != before.shape[:1]:
        raise DataError(
            "expected two tables of one shape and a flag for each of their rows; got "
            f"{tuple(before.shape)}, {tuple(after.shape)} and {tuple(is_seen.shape)}"
        )
    seen = is_seen.bool().nonzero().squeeze(1)
    unseen = (~is_seen.bool()).nonzero().squeeze(1)
    result = after.clone()
    if not len(seen):
        return result
    moved = (after - before)[seen]
    directions = F.normalize(before.float(), dim=1)
    for rows in unseen.split(_ROWS_AT_A_TIME):
        cosines = directions[rows] @ directions[seen].T
        nearest, which = cosines.topk(min(num_neighbors, len(seen)), dim=1)
        weights = torch.softmax(nearest / temperature, dim=1)
        movement = (weights.unsqueeze(-1) * moved[which].float()).sum(dim=1)
        result[rows] = (before[rows].float() + movement).to(result.dtype)
    return result
