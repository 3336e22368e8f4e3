"""Encoded sentence pairs and the batches drawn from them.

Batches are *stateless*: batch ``k`` is a function of the seed and of ``k`` alone, so a build that
was killed resumes on the very pairs it would have seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from xlingual.data.bitext import Bitext
from xlingual.errors import ConfigError

__all__ = ["EncodedCorpus", "PairBatch", "encode_bitexts", "split_held_out"]

Rows = list[NDArray[np.int32]]


@dataclass(frozen=True)
class PairBatch:
    """Token ids of sentence pairs, special tokens included, not padded.

    Attributes:
        english: One id array for each pair.
        chinese: The same pairs on the other side.
        english_keys: Equal for pairs whose English sides are equal, shape ``(batch,)``.
        chinese_keys: The same for the Chinese sides.
    """

    english: Rows
    chinese: Rows
    english_keys: NDArray[np.int64]
    chinese_keys: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.english)


@dataclass(frozen=True)
class EncodedCorpus:
    """Pairs of all sources in order of length, each with its sampling probability.

    Attributes:
        english: Token ids of the English sides.
        chinese: Token ids of the Chinese sides.
        english_keys: Number of each distinct English sentence, shape ``(pairs,)``.
        chinese_keys: Number of each distinct Chinese sentence, shape ``(pairs,)``.
        cumulative: Cumulative sampling probability, shape ``(pairs,)``, ending in 1.
    """

    english: Rows
    chinese: Rows
    english_keys: NDArray[np.int64]
    chinese_keys: NDArray[np.int64]
    cumulative: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.english)

    def take(self, indices: NDArray[np.int64]) -> PairBatch:
        """The pairs at ``indices`` as one batch."""
        return PairBatch(
            [self.english[i] for i in indices],
            [self.chinese[i] for i in indices],
            self.english_keys[indices],
            self.chinese_keys[indices],
        )

    def batch(self, step: int, *, batch_size: int, seed: int, window: float = 4.0) -> PairBatch:
        """Draw the distinct pairs of batch ``step`` from one stretch of similar lengths.

        Without such buckets a contrastive loss learns length. The stretch holds ``window`` batches
        of probability mass, so sources are met in proportion to their weights.

        Args:
            step: Number of the batch.
            batch_size: Pairs drawn; those drawn twice count once, so a batch may be smaller.
            seed: Seed of the run.
            window: Width of the stretch, in batches of equally likely pairs.
        """
        rng = np.random.default_rng((seed, step))
        width = min(window * batch_size / len(self), 1.0)
        start = rng.uniform(0.0, 1.0 - width)
        draws = np.searchsorted(self.cumulative, start + width * rng.random(batch_size))
        return self.take(np.unique(np.minimum(draws, len(self) - 1)))


def encode_bitexts(
    bitexts: Sequence[Bitext],
    tokenizer: PreTrainedTokenizerFast,
    *,
    source_weights: Mapping[str, float] | None = None,
    max_length: int = 64,
) -> EncodedCorpus:
    """Tokenise pairs and give each its sampling probability.

    Args:
        bitexts: Sources.
        tokenizer: Fast tokenizer.
        source_weights: Share of the batches for each source by name, in any unit; a source that is
            not named weighs 1. Weights go by source and not by size: the largest source is
            seldom the most useful.
        max_length: Tokens kept of each side.

    Raises:
        ConfigError: A weight names no source, or is negative.
    """
    weights = _source_weights([bitext.name for bitext in bitexts], source_weights or {})
    english: list[str] = [text for bitext in bitexts for text in bitext.english]
    chinese: list[str] = [text for bitext in bitexts for text in bitext.chinese]
    probability = np.concatenate(
        [_pair_probabilities(b) * w for b, w in zip(bitexts, weights, strict=True)]
    )
    english_rows = _encode(english, tokenizer, max_length)
    chinese_rows = _encode(chinese, tokenizer, max_length)
    lengths = np.array([len(e) + len(c) for e, c in zip(english_rows, chinese_rows, strict=True)])
    # Ties in random order: neighbours in a file are about the same thing.
    order = np.lexsort((np.random.default_rng(0).random(len(lengths)), lengths))
    return EncodedCorpus(
        [english_rows[i] for i in order],
        [chinese_rows[i] for i in order],
        _keys(english)[order],
        _keys(chinese)[order],
        np.cumsum(probability[order] / probability.sum()),
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


def _encode(texts: list[str], tokenizer: PreTrainedTokenizerFast, max_length: int) -> Rows:
    encoded = tokenizer(
        texts, truncation=True, max_length=max_length, return_attention_mask=False
    ).input_ids
    return [np.asarray(row, dtype=np.int32) for row in encoded]


def _keys(texts: Sequence[str]) -> NDArray[np.int64]:
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(text, len(numbers)) for text in texts], dtype=np.int64)
