"""Stage 0: token embeddings aligned across languages by bags of tokens, without context.

Alignment at this scale is lexical: a mean of token embeddings trained on sentence pairs for a few
minutes is ahead of a transformer trained from random weights for half an hour.
"""

from __future__ import annotations

import logging

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import svds
from torch import Tensor
from torch.nn import functional as F
from tqdm.auto import trange

from xlingual.pretraining.corpus import EncodedCorpus, Rows
from xlingual.transfer.loss.info_nce import info_nce

__all__ = ["StaticTable", "contrastive_embeddings", "svd_embeddings"]

logger = logging.getLogger(__name__)


def svd_embeddings(
    corpus: EncodedCorpus, *, vocab_size: int, dim: int = 256, seed: int = 0
) -> NDArray[np.float32]:
    r"""Bilingual latent semantic indexing (Dumais et al., 1997).

    One document is a sentence pair as a bag of the tokens of both sides,
    ``X[d, t] = log(1 + tf) * idf(t)``, and with :math:`X \approx U S V^\top` the embedding of a
    token is ``idf(t) * V[t]``, so that a bag of tokens is folded in as ``X[d] V``.

    Args:
        corpus: Pairs; each document is weighted by the square root of its sampling probability.
        vocab_size: Number of rows.
        dim: Number of singular vectors.
        seed: Seed of the start vector.

    Returns:
        Embeddings of shape ``(vocab_size, dim)`` with mean square 1 over the tokens seen.
    """
    rows = [np.concatenate(pair) for pair in zip(corpus.english, corpus.chinese, strict=True)]
    matrix = _counts(rows, vocab_size)
    document_frequency = np.bincount(matrix.indices, minlength=vocab_size)
    idf = np.log((1 + len(rows)) / (1 + document_frequency)).astype(np.float32)
    matrix.data = np.log1p(matrix.data)
    weights = np.sqrt(np.diff(corpus.cumulative, prepend=0.0) * len(rows)).astype(np.float32)
    matrix = sparse.diags(weights) @ matrix @ sparse.diags(idf)
    start = np.random.default_rng(seed).standard_normal(min(matrix.shape))
    _, _, right = svds(matrix, k=dim, v0=start.astype(np.float32), solver="arpack", tol=1e-3)
    table = np.ascontiguousarray(right.T[:, ::-1]) * idf[:, None]
    scale = np.sqrt(np.square(table[document_frequency > 0]).mean())
    return np.asarray(table / scale, dtype=np.float32)


class StaticTable(torch.nn.Module):
    """The embedding table as the encoder's first and last norms see it, without layers.

    With every residual branch at zero a pre-norm encoder maps token ``t`` to
    ``norm(norm(E[t]))``, whatever its neighbours, so its mean over a sentence is an
    ``EmbeddingBag`` over the transformed table.
    """

    def __init__(self, embeddings: Tensor, *, norm_eps: float) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(embeddings.clone())
        self.norm_eps = norm_eps

    def forward(self, ids: Tensor, offsets: Tensor) -> Tensor:
        """Mean vector of each bag, shape ``(bags, dim)``."""
        shape = (self.weight.shape[1],)
        table = F.layer_norm(self.weight, shape, eps=self.norm_eps)
        table = F.layer_norm(table, shape, eps=self.norm_eps)
        return F.embedding_bag(ids, table, offsets, mode="mean")


def contrastive_embeddings(
    corpus: EncodedCorpus,
    embeddings: NDArray[np.float32],
    *,
    steps: int = 3000,
    batch_size: int = 1024,
    learning_rate: float = 3e-3,
    temperature: float = 0.05,
    token_dropout: float = 0.1,
    norm_eps: float = 1e-5,
    seed: int = 0,
    progress: bool = False,
) -> NDArray[np.float32]:
    """Refine embeddings by in-batch contrast of mean vectors (Wieting et al., 2019).

    Args:
        corpus: Pairs.
        embeddings: Start, shape ``(vocab_size, dim)``: :func:`svd_embeddings` or random.
        steps: Batches.
        batch_size: Pairs in a batch, all but one of them negatives.
        learning_rate: Peak of one linear cycle.
        temperature: Temperature of the cosine.
        token_dropout: Share of the tokens left out of each bag.
        norm_eps: ``norm_eps`` of the encoder that the table is for.
        seed: Seed of batches and dropout.
        progress: Show a progress bar.

    Returns:
        Embeddings of the same shape.
    """
    table = StaticTable(torch.from_numpy(np.asarray(embeddings)), norm_eps=norm_eps)
    optimizer = torch.optim.Adam(table.parameters(), lr=learning_rate, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, learning_rate, total_steps=steps + 1, pct_start=0.1, anneal_strategy="linear"
    )
    bar = trange(steps, desc="stage 0", disable=not progress)
    for step in bar:
        rng = np.random.default_rng((seed, step, 1))
        batch = corpus.batch(step, batch_size=batch_size, seed=seed)
        english = table(*_bags(batch.english, token_dropout, rng))
        chinese = table(*_bags(batch.chinese, token_dropout, rng))
        loss = info_nce(
            english,
            chinese,
            temperature=temperature,
            source_keys=torch.from_numpy(batch.english_keys),
            target_keys=torch.from_numpy(batch.chinese_keys),
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            bar.set_postfix(loss=f"{loss.item():.3f}")
    logger.info("stage 0: last contrastive loss %.3f", loss.item())
    return table.weight.detach().numpy()


def _bags(rows: Rows, dropout: float, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    if dropout:
        # The first token, [CLS], always stays, so no bag is empty.
        rows = [row[np.r_[True, rng.random(len(row) - 1) >= dropout]] for row in rows]
    lengths = np.fromiter((len(row) for row in rows), dtype=np.int64, count=len(rows))
    offsets = np.r_[0, np.cumsum(lengths)[:-1]]
    return torch.from_numpy(np.concatenate(rows).astype(np.int64)), torch.from_numpy(offsets)


def _counts(rows: Rows, vocab_size: int) -> sparse.csr_matrix:
    lengths = np.fromiter((len(row) for row in rows), dtype=np.int64, count=len(rows))
    indptr = np.r_[0, np.cumsum(lengths)]
    indices = np.concatenate(rows)
    data = np.ones(len(indices), dtype=np.float32)
    matrix = sparse.csr_matrix((data, indices, indptr), shape=(len(rows), vocab_size))
    matrix.sum_duplicates()
    return matrix
