"""Embedding propagation: tokens that training never saw follow their neighbours that it did see."""

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

    Fine-tuning on English sends no gradient to the rows of Chinese tokens. Frozen, the table learns
    nothing of the task; trained, its two halves drift apart. Where an encoder's table is aligned
    across the languages, what was learnt about *excellent* is carried on to 优秀 by their nearness
    before training. Tokens that were seen keep what they learnt.

    Args:
        before: The table before training, shape ``(vocab_size, dim)``.
        after: The table after training, the same shape.
        is_seen: Which tokens occurred in training, shape ``(vocab_size,)``.
        num_neighbors: k.
        temperature: :math:`\tau`; small values follow the nearest neighbour alone, and a good
            part of what one token does is noise.

    Returns:
        The new table.

    Raises:
        DataError: Shapes that do not fit each other.
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
