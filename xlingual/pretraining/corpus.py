"""Encoded sentence pairs and the batches drawn from them.

Batches are *stateless*: batch ``k`` is a function of the seed and of ``k`` alone, so a build that
was killed resumes on the very pairs it would have seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from xlingual.data.bitext import Bitext
from xlingual.errors import ConfigError
from xlingual.pretraining.ragged import RaggedRows, tokenise

__all__ = [
    "EncodedCorpus",
    "Sentences",
    "distinct_sentences",
    "encode_bitexts",
    "split_held_out",
]


@dataclass(frozen=True)
class Sentences:
    """The distinct sentences of a corpus: the English ones, then the Chinese ones.

    Attributes:
        texts: The sentences.
        num_english: How many of them are English.
        english: Number in ``texts`` of the English side of each pair, shape ``(pairs,)``.
        chinese: The same for the Chinese sides.
    """

    texts: list[str]
    num_english: int
    english: NDArray[np.int64]
    chinese: NDArray[np.int64]


@dataclass(frozen=True)
class EncodedCorpus:
    """Pairs of all sources in order of length, each with its sampling probability.

    Attributes:
        tokens: Token ids of every distinct sentence, special tokens included.
        english: Row in ``tokens`` of the English side of each pair, shape ``(pairs,)``; pairs with
            one sentence share its row.
        chinese: The same for the Chinese sides.
        cumulative: Cumulative sampling probability, shape ``(pairs,)``, ending in 1.
        spans: Characters ``[start, end)`` of every token in its sentence, shape ``(total, 2)``, in
            the order of ``tokens``; None where they were not asked for.
    """

    tokens: RaggedRows
    english: NDArray[np.int64]
    chinese: NDArray[np.int64]
    cumulative: NDArray[np.float64]
    spans: NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.english)

    def to(self, device: torch.device | str) -> EncodedCorpus:
        """The same corpus with its tokens on ``device``."""
        return replace(self, tokens=self.tokens.to(device))

    def draw(
        self, step: int, *, batch_size: int, seed: int, window: float = 4.0
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Draw the distinct pairs of batch ``step`` from one stretch of similar lengths.

        Without such buckets a contrastive loss learns length. The stretch holds ``window`` batches
        of probability mass, so sources are met in proportion to their weights.

        Args:
            step: Number of the batch.
            batch_size: Pairs drawn; those drawn twice count once, so a batch may be smaller.
            seed: Seed of the run.
            window: Width of the stretch, in batches of equally likely pairs.

        Returns:
            Rows of the English sides and of the Chinese sides, both of shape ``(batch,)``.
        """
        rng = np.random.default_rng((seed, step))
        width = min(window * batch_size / len(self), 1.0)
        start = rng.uniform(0.0, 1.0 - width)
        draws = np.searchsorted(self.cumulative, start + width * rng.random(batch_size))
        pairs = np.unique(np.minimum(draws, len(self) - 1))
        return self.english[pairs], self.chinese[pairs]


def distinct_sentences(bitexts: Sequence[Bitext]) -> Sentences:
    """Number the sentences of all sources in order of their first appearance."""
    english: dict[str, int] = {}
    chinese: dict[str, int] = {}
    english_rows = [english.setdefault(t, len(english)) for b in bitexts for t in b.english]
    chinese_rows = [chinese.setdefault(t, len(chinese)) for b in bitexts for t in b.chinese]
    return Sentences(
        [*english, *chinese],
        len(english),
        np.array(english_rows, dtype=np.int64),
        np.array(chinese_rows, dtype=np.int64) + len(english),
    )


def encode_bitexts(
    bitexts: Sequence[Bitext],
    tokenizer: PreTrainedTokenizerFast,
    *,
    source_weights: Mapping[str, float] | None = None,
    max_length: int = 64,
    with_spans: bool = False,
) -> EncodedCorpus:
    """Tokenise pairs and give each its sampling probability.

    Args:
        bitexts: Sources.
        tokenizer: Fast tokenizer.
        source_weights: Share of the batches for each source by name, in any unit; a source that is
            not named weighs 1. Weights go by source and not by size: the largest source is
            seldom the most useful.
        max_length: Tokens kept of each side.
        with_spans: Keep which characters the tokens stand for, which aligns them with a teacher's.

    Raises:
        ConfigError: A weight names no source, or is negative.
    """
    weights = _source_weights([bitext.name for bitext in bitexts], source_weights or {})
    probability = np.concatenate(
        [_pair_probabilities(b) * w for b, w in zip(bitexts, weights, strict=True)]
    )
    sentences = distinct_sentences(bitexts)
    tokens, spans = tokenise(
        sentences.texts, tokenizer, max_length=max_length, with_spans=with_spans
    )
    lengths = tokens.lengths[sentences.english] + tokens.lengths[sentences.chinese]
    # Ties in random order: neighbours in a file are about the same thing.
    order = np.lexsort((np.random.default_rng(0).random(len(lengths)), lengths))
    return EncodedCorpus(
        tokens,
        sentences.english[order],
        sentences.chinese[order],
        np.cumsum(probability[order] / probability.sum()),
        spans,
    )


def split_held_out(
    bitext: Bitext, *, size: int = 2000, share: float = 0.05
) -> tuple[Bitext, Bitext]:
    """Hold out the last ``min(size, share of the pairs)`` after a fixed shuffle.

    Returns:
        Training pairs and held-out pairs. No held-out sentence occurs in the training pairs.
    """
    order = np.random.default_rng(0).permutation(len(bitext))
    count = min(size, int(share * len(bitext)))
    held = set(order[len(order) - count :].tolist()) if count else set()
    english = {bitext.english[i] for i in held}
    chinese = {bitext.chinese[i] for i in held}

    def part(wanted: list[int]) -> Bitext:
        return Bitext(
            bitext.name,
            [bitext.english[i] for i in wanted],
            [bitext.chinese[i] for i in wanted],
            bitext.dropped,
        )

    train = [
        i
        for i in range(len(bitext))
        if bitext.english[i] not in english and bitext.chinese[i] not in chinese
    ]
    return part(train), part(sorted(held))


def _source_weights(names: Sequence[str], given: Mapping[str, float]) -> list[float]:
    unknown = sorted(set(given) - set(names))
    if unknown:
        raise ConfigError(f"weights for unknown sources {unknown}; the sources are {list(names)}")
    weights = [float(given.get(name, 1.0)) for name in names]
    if min(weights) < 0 or max(weights) == 0:
        raise ConfigError(f"source weights must be >= 0 and not all 0, got {weights}")
    return weights


def _pair_probabilities(bitext: Bitext) -> NDArray[np.float64]:
    weights = np.asarray(bitext.pair_weights or [1.0] * len(bitext), dtype=np.float64)
    return np.asarray(weights / weights.sum())
