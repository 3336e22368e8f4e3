"""Losses that teach a student a teacher's sentence vectors, token vectors and similarities.

The teacher's vectors are wider than the student's. Linear maps from the student's width to the
teacher's are learnt on the way; they are no part of the student and are not saved with it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["DistillationLoss", "chunk_means", "cosine_loss", "relation_loss"]


class DistillationLoss(nn.Module):
    r"""Three losses against a teacher's vectors, each with its weight.

    With student vectors :math:`s`, teacher vectors :math:`t` and maps :math:`A, B`:

    .. math:: L = w_p \operatorname{mean}_i [1 - \cos(A s_i, t_i)]
              + w_t \operatorname{mean}_c [1 - \cos(B s_c, t_c)]
              + w_r \operatorname{mean}_i \text{KL}(\sigma(\cos(t_i, t_\cdot) / \tau)
              \,\|\, \sigma(\cos(s_i, s_\cdot) / \tau))

    over the sentences :math:`i` of both languages in a batch, and over the stretches of text
    :math:`c` that are whole tokens of both tokenizers.

    Args:
        student_dim: Width of the student.
        teacher_dim: Width of the teacher.
        pooled_weight: :math:`w_p`, of sentence vectors (Reimers and Gurevych, 2020).
        token_weight: :math:`w_t`, of token vectors.
        relation_weight: :math:`w_r`, of the similarities within a batch (Park et al., 2019; as
            distributions, Fang et al., 2021).
        temperature: :math:`\tau`; that of the contrast.
        seed: Seed of the maps.
    """

    def __init__(
        self,
        student_dim: int,
        teacher_dim: int,
        *,
        pooled_weight: float = 5.0,
        token_weight: float = 5.0,
        relation_weight: float = 1.0,
        temperature: float = 0.05,
        seed: int = 0,
    ) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(seed)
        self.pooled_weight = pooled_weight
        self.token_weight = token_weight
        self.relation_weight = relation_weight
        self.temperature = temperature
        self.pooled_map = _map(student_dim, teacher_dim, rng) if pooled_weight else None
        self.token_map = _map(student_dim, teacher_dim, rng) if token_weight else None

    def forward(
        self, hidden: Tensor, pooled: Tensor, batch: Mapping[str, Tensor]
    ) -> dict[str, tuple[float, Tensor]]:
        """The losses by name, each with its weight.

        Args:
            hidden: Token vectors of the student, shape ``(sentences, length, student_dim)``.
            pooled: Its sentence vectors, shape ``(sentences, student_dim)``.
            batch: Targets, from :class:`~xlingual.pretraining.targets.TeacherTargets`.
        """
        parts: dict[str, tuple[float, Tensor]] = {}
        if self.pooled_map is not None:
            loss = cosine_loss(self.pooled_map(pooled), batch["teacher_pooled"])
            parts["pooled"] = (self.pooled_weight, loss)
        if self.token_map is not None:
            parts["token"] = (self.token_weight, self._token_loss(self.token_map(hidden), batch))
        if self.relation_weight:
            loss = relation_loss(pooled, batch["teacher_pooled"], temperature=self.temperature)
            parts["relation"] = (self.relation_weight, loss)
        return parts

    def _token_loss(self, mapped: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        count = batch["teacher_tokens"].shape[1]  # no sentence has more chunks than tokens
        student, is_chunk = chunk_means(mapped, batch["student_chunks"], count)
        teacher, _ = chunk_means(batch["teacher_tokens"], batch["teacher_chunks"], count)
        return cosine_loss(student, teacher, weights=is_chunk)


def _map(student_dim: int, teacher_dim: int, rng: torch.Generator) -> nn.Linear:
    linear = nn.Linear(student_dim, teacher_dim)
    nn.init.normal_(linear.weight, std=student_dim**-0.5, generator=rng)
    nn.init.zeros_(linear.bias)
    return linear


def cosine_loss(student: Tensor, teacher: Tensor, *, weights: Tensor | None = None) -> Tensor:
    """Mean of one minus the cosine between two lists of vectors.

    Args:
        student: Vectors, shape ``(..., dim)``.
        teacher: Vectors of the same shape.
        weights: Which of them count, shape ``(...)``; all of them if not given.
    """
    distance = 1 - F.cosine_similarity(student.float(), teacher.float(), dim=-1)
    if weights is None:
        return distance.mean()
    return (distance * weights).sum() / weights.sum().clamp(min=1)


def relation_loss(student: Tensor, teacher: Tensor, *, temperature: float = 0.05) -> Tensor:
    """KL divergence between the teacher's and the student's neighbours of each sentence.

    Args:
        student: Vectors, shape ``(sentences, student_dim)``.
        teacher: Vectors of the same sentences, shape ``(sentences, teacher_dim)``.
        temperature: Temperature of the cosines; small, so that near neighbours count.
    """
    is_self = torch.eye(len(student), dtype=torch.bool, device=student.device)
    # A large finite number: a probability of exactly 0 would make 0 * inf of the divergence.
    with torch.autocast(student.device.type, enabled=False):  # bfloat16 would blur the cosines
        logs = [
            F.log_softmax((unit @ unit.T / temperature).masked_fill(is_self, -1e4), dim=-1)
            for unit in (F.normalize(vectors.float(), dim=-1) for vectors in (student, teacher))
        ]
    return F.kl_div(logs[0], logs[1], reduction="batchmean", log_target=True)


def chunk_means(vectors: Tensor, chunks: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Mean vector of the tokens of each chunk.

    Args:
        vectors: Token vectors, shape ``(sentences, length, dim)``.
        chunks: Number of the chunk of each token, -1 for none, shape ``(sentences, length)``.
        count: Number of chunks of the longest sentence, or more.

    Returns:
        Means of shape ``(sentences, count, dim)``, zero where there is no such chunk, and whether
        there is one, shape ``(sentences, count)``.
    """
    numbers = torch.arange(count, device=chunks.device)
    belongs = (chunks[:, None, :] == numbers[:, None]).to(vectors.dtype)
    sizes = belongs.sum(-1, keepdim=True)
    return (belongs / sizes.clamp(min=1)) @ vectors, sizes.squeeze(-1) > 0
