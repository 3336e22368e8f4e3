"""Stage 0: token embeddings aligned across languages by bags of tokens, without context.

Alignment at this scale is lexical: a mean of token embeddings trained on sentence pairs for a few
minutes is ahead of a transformer trained from random weights for half an hour.
"""

from __future__ import annotations

import logging
import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor
from torch.nn import functional as F
from tqdm.auto import trange

from xlingual.errors import ConfigError
from xlingual.pretraining.corpus import EncodedCorpus
from xlingual.pretraining.noise import step_generator
from xlingual.pretraining.ragged import RaggedRows
from xlingual.transfer.loss.info_nce import info_nce

__all__ = ["StaticTable", "contrastive_embeddings", "svd_embeddings"]

logger = logging.getLogger(__name__)

_OVERSAMPLING = 32  # projections beyond the singular vectors that are asked for
_POWER_ITERATIONS = 3


def svd_embeddings(
    corpus: EncodedCorpus, *, vocab_size: int, dim: int = 256, seed: int = 0
) -> NDArray[np.float32]:
    r"""Bilingual latent semantic indexing (Dumais et al., 1997).

    One document is a sentence pair as a bag of the tokens of both sides,
    ``X[d, t] = log(1 + tf) * idf(t)``, and with :math:`X \approx U S V^\top` the embedding of a
    token is ``idf(t) * V[t]``, so that a bag of tokens is folded in as ``X[d] V``. The singular
    vectors are found by random projection (Halko et al., 2011), on the device of the corpus.

    Args:
        corpus: Pairs; each document is weighted by the square root of its sampling probability.
        vocab_size: Number of rows.
        dim: Number of singular vectors.
        seed: Seed of the projection.

    Returns:
        Embeddings of shape ``(vocab_size, dim)`` with mean square 1 over the tokens seen.

    Raises:
        ConfigError: There are not as many pairs or tokens as ``dim``.
    """
    if dim > min(len(corpus), vocab_size):
        raise ConfigError(
            f"{len(corpus)} pairs and {vocab_size} tokens do not give embeddings of width {dim}; "
            "lower --dim, or start from --static_start random"
        )
    matrix = _counts(corpus, vocab_size)
    document_frequency = np.bincount(matrix.indices, minlength=vocab_size)
    idf = np.log((1 + len(corpus)) / (1 + document_frequency)).astype(np.float32)
    matrix.data = np.log1p(matrix.data)
    weights = np.sqrt(np.diff(corpus.cumulative, prepend=0.0) * len(corpus)).astype(np.float32)
    matrix = (sparse.diags(weights) @ matrix @ sparse.diags(idf)).tocsr()
    right = _right_singular_vectors(matrix, dim, seed=seed, device=corpus.tokens.values.device)
    table = right * idf[:, None]
    scale = np.sqrt(np.square(table[document_frequency > 0]).mean())
    return np.asarray(table / scale, dtype=np.float32)


def _right_singular_vectors(
    matrix: sparse.csr_matrix, dim: int, *, seed: int, device: torch.device
) -> NDArray[np.float32]:
    documents = _to_torch(matrix, device)
    turned = _to_torch(matrix.T.tocsr(), device)
    rng = torch.Generator(device).manual_seed(seed)
    width = min(dim + _OVERSAMPLING, *matrix.shape)
    basis = torch.randn(matrix.shape[1], width, generator=rng, device=device)
    for _ in range(_POWER_ITERATIONS):
        basis = torch.linalg.qr(turned @ (documents @ basis)).Q
    _, _, rotation = torch.linalg.svd(torch.linalg.qr(documents @ basis, mode="r").R)
    return (basis @ rotation.T[:, :dim]).cpu().numpy()


def _to_torch(matrix: sparse.csr_matrix, device: torch.device) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse")  # in beta; invariants unchecked
        return torch.sparse_csr_tensor(
            torch.from_numpy(matrix.indptr.astype(np.int64)),
            torch.from_numpy(matrix.indices.astype(np.int64)),
            torch.from_numpy(matrix.data),
            size=matrix.shape,
            device=device,
        )


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

    def forward(self, ids: Tensor, weights: Tensor) -> Tensor:
        """Weighted sums of token vectors, shape ``(bags, dim)``.

        Args:
            ids: Token ids, padded, shape ``(bags, length)``.
            weights: Share of each token in its bag, 0 for padding, same shape.
        """
        shape = (self.weight.shape[1],)
        table = F.layer_norm(self.weight, shape, eps=self.norm_eps)
        table = F.layer_norm(table, shape, eps=self.norm_eps)
        return F.embedding_bag(ids, table, per_sample_weights=weights, mode="sum")


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
    device = corpus.tokens.values.device
    start = torch.from_numpy(np.asarray(embeddings)).to(device)
    table = StaticTable(start, norm_eps=norm_eps)
    optimizer = torch.optim.Adam(table.parameters(), lr=learning_rate, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, learning_rate, total_steps=steps + 1, pct_start=0.1, anneal_strategy="linear"
    )
    bar = trange(steps, desc="stage 0", disable=not progress)
    for step in bar:
        rng = step_generator(seed, step, device)
        english_rows, chinese_rows = corpus.draw(step, batch_size=batch_size, seed=seed)
        loss = info_nce(
            table(*_bags(corpus.tokens, english_rows, token_dropout, rng)),
            table(*_bags(corpus.tokens, chinese_rows, token_dropout, rng)),
            temperature=temperature,
            source_keys=torch.from_numpy(english_rows).to(device),
            target_keys=torch.from_numpy(chinese_rows).to(device),
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            bar.set_postfix(loss=f"{loss.item():.3f}")
    logger.info("stage 0: last contrastive loss %.3f", loss.item())
    return table.weight.detach().cpu().numpy()


def _bags(
    tokens: RaggedRows, rows: NDArray[np.int64], dropout: float, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    ids, mask = tokens.padded(rows, 0)
    is_kept = torch.rand(ids.shape, generator=rng, device=ids.device) >= dropout
    is_kept[:, 0] = True  # [CLS] always stays, so no bag is empty
    weights = (mask & is_kept).float()
    return ids, weights / weights.sum(1, keepdim=True)


def _counts(corpus: EncodedCorpus, vocab_size: int) -> sparse.csr_matrix:
    """Pairs by tokens: how often a token stands on either side."""
    indices = corpus.tokens.values.cpu().numpy().copy()  # they are sorted in place below
    indptr = np.r_[0, np.cumsum(corpus.tokens.lengths)]
    ones = np.ones(len(indices), dtype=np.float32)
    sentences = sparse.csr_matrix((ones, indices, indptr), shape=(len(indptr) - 1, vocab_size))
    sentences.sum_duplicates()
    return (sentences[corpus.english] + sentences[corpus.chinese]).tocsr()
