"""Noise on token ids: padding, masking and dictionary code-switching, all from one generator."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from xlingual.data.dictionary import DictionaryEntry
from xlingual.pretraining.corpus import Rows

__all__ = ["CodeSwitcher", "join_pairs", "mask_for_prediction", "mask_inputs", "pad_rows"]


def pad_rows(rows: Rows, pad_id: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Pad to the longest row.

    Returns:
        Ids and attention mask, both of shape ``(rows, length)``.
    """
    lengths = np.fromiter((len(row) for row in rows), dtype=np.int64, count=len(rows))
    mask = np.arange(lengths.max()) < lengths[:, None]
    ids = np.full(mask.shape, pad_id, dtype=np.int64)
    ids[mask] = np.concatenate(rows)
    return ids, mask


def join_pairs(first: Rows, second: Rows, *, max_length: int = 128) -> Rows:
    """``[CLS] a [SEP]`` and ``[CLS] b [SEP]`` become ``[CLS] a [SEP] b [SEP]``."""
    return [np.concatenate([a, b[1:]])[:max_length] for a, b in zip(first, second, strict=True)]


def mask_inputs(
    ids: NDArray[np.int64],
    *,
    probability: float,
    mask_id: int,
    special_ids: Sequence[int],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Replace a share of the tokens by ``[MASK]``, special tokens excepted."""
    chosen = (rng.random(ids.shape) < probability) & ~np.isin(ids, special_ids)
    return np.where(chosen, mask_id, ids)


def mask_for_prediction(
    ids: NDArray[np.int64],
    *,
    probability: float,
    mask_id: int,
    vocab_size: int,
    special_ids: Sequence[int],
    rng: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """BERT masking (Devlin et al., 2019): of the chosen tokens 80% masked, 10% random, 10% kept.

    Random replacement draws from both languages, which Dufter and Schuetze (2020) found to help
    a small model become multilingual.

    Returns:
        Corrupted ids and the chosen positions, both of the shape of ``ids``.
    """
    chosen = (rng.random(ids.shape) < probability) & ~np.isin(ids, special_ids)
    dice = rng.random(ids.shape)
    corrupted = np.where(chosen & (dice < 0.8), mask_id, ids)
    random_ids = rng.integers(len(special_ids), vocab_size, ids.shape)
    return np.where(chosen & (dice >= 0.9), random_ids, corrupted), chosen


class CodeSwitcher:
    """Replace tokens by their dictionary translation, either way.

    Only entries whose two sides are single tokens take part: they are the common words, and a
    replacement then is one array look-up.

    Args:
        entries: Dictionary, the most usual sense of an entry first.
        tokenizer: Fast tokenizer.
        max_translations: Translations kept of one token, the most often attested first.
    """

    def __init__(
        self,
        entries: Iterable[DictionaryEntry],
        tokenizer: PreTrainedTokenizerFast,
        *,
        max_translations: int = 4,
    ) -> None:
        votes: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
        for chinese, english, weight in _single_tokens(entries, tokenizer):
            votes[chinese][english] += weight
            votes[english][chinese] += weight
        self.translations = np.zeros((len(tokenizer), max_translations), dtype=np.int64)
        self.counts = np.zeros(len(tokenizer), dtype=np.int64)
        for token, candidates in votes.items():
            best = sorted(candidates, key=lambda c: (-candidates[c], c))[:max_translations]
            self.translations[token, : len(best)] = best
            self.counts[token] = len(best)

    def __call__(
        self, ids: NDArray[np.int64], *, probability: float, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Switch each token that has a translation with ``probability``."""
        counts = self.counts[ids]
        chosen = (rng.random(ids.shape) < probability) & (counts > 0)
        pick = np.floor(rng.random(ids.shape) * counts).astype(np.int64)
        return np.where(chosen, self.translations[ids, pick], ids)


def to_tensors(*arrays: NDArray[np.generic], device: torch.device | str = "cpu") -> list[Tensor]:
    """NumPy arrays as tensors on ``device``."""
    return [torch.from_numpy(np.ascontiguousarray(array)).to(device) for array in arrays]


def _single_tokens(
    entries: Iterable[DictionaryEntry], tokenizer: PreTrainedTokenizerFast
) -> list[tuple[int, int, float]]:
    triples = [
        (entry.simplified, sense.removeprefix("to "), 1.0 / rank)
        for entry in entries
        for rank, sense in enumerate(entry.senses[:6], start=1)
        if " " not in sense.removeprefix("to ") and len(entry.simplified) <= 4
    ]
    if not triples:
        return []
    chinese = tokenizer([t[0] for t in triples], add_special_tokens=False).input_ids
    english = tokenizer([t[1] for t in triples], add_special_tokens=False).input_ids
    unknown = tokenizer.unk_token_id
    return [
        (c[0], e[0], weight)
        for c, e, (_, _, weight) in zip(chinese, english, triples, strict=True)
        if len(c) == len(e) == 1 and unknown not in (c[0], e[0])
    ]
