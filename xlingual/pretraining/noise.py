"""Noise on token ids: masking and dictionary code-switching, on the device where the ids are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from xlingual.data.dictionary import DictionaryEntry

__all__ = ["CodeSwitcher", "mask_for_prediction", "mask_inputs", "step_generator"]


def step_generator(seed: int, step: int, device: torch.device | str) -> torch.Generator:
    """A generator whose draws depend on the seed and the step alone."""
    state = np.random.SeedSequence((seed, step, 2)).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(state >> np.uint64(1)))


def mask_inputs(
    ids: Tensor, *, probability: float, mask_id: int, special_ids: Tensor, rng: torch.Generator
) -> Tensor:
    """Replace a share of the tokens by ``[MASK]``, special tokens excepted."""
    return torch.where(_chosen(ids, probability, special_ids, rng), mask_id, ids)


def mask_for_prediction(
    ids: Tensor,
    *,
    probability: float,
    mask_id: int,
    vocab_size: int,
    special_ids: Tensor,
    rng: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """BERT masking (Devlin et al., 2019): of the chosen tokens 80% masked, 10% random, 10% kept.

    Random replacement draws from both languages, which Dufter and Schuetze (2020) found to help
    a small model become multilingual.

    Returns:
        Corrupted ids and the chosen positions, both of the shape of ``ids``.
    """
    chosen = _chosen(ids, probability, special_ids, rng)
    dice = torch.rand(ids.shape, generator=rng, device=ids.device)
    corrupted = torch.where(chosen & (dice < 0.8), mask_id, ids)
    random_ids = torch.randint(
        len(special_ids), vocab_size, ids.shape, generator=rng, device=ids.device
    )
    return torch.where(chosen & (dice >= 0.9), random_ids, corrupted), chosen


def _chosen(ids: Tensor, probability: float, special_ids: Tensor, rng: torch.Generator) -> Tensor:
    dice = torch.rand(ids.shape, generator=rng, device=ids.device)
    return (dice < probability) & ~torch.isin(ids, special_ids)


class CodeSwitcher:
    """Replace tokens by their dictionary translation, either way.

    Only entries whose two sides are single tokens take part: they are the common words, and a
    replacement then is one array look-up.

    Args:
        entries: Dictionary, the most usual sense of an entry first.
        tokenizer: Fast tokenizer.
        max_translations: Translations kept of one token, the most often attested first.
        device: Where the ids will be.
    """

    def __init__(
        self,
        entries: Iterable[DictionaryEntry],
        tokenizer: PreTrainedTokenizerFast,
        *,
        max_translations: int = 4,
        device: torch.device | str = "cpu",
    ) -> None:
        votes: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
        for chinese, english, weight in _single_tokens(entries, tokenizer):
            votes[chinese][english] += weight
            votes[english][chinese] += weight
        translations = np.zeros((len(tokenizer), max_translations), dtype=np.int64)
        counts = np.zeros(len(tokenizer), dtype=np.int64)
        for token, candidates in votes.items():
            best = sorted(candidates, key=lambda c: (-candidates[c], c))[:max_translations]
            translations[token, : len(best)] = best
            counts[token] = len(best)
        self.translations = torch.from_numpy(translations).to(device)
        self.counts = torch.from_numpy(counts).to(device)

    def __call__(self, ids: Tensor, *, probability: float, rng: torch.Generator) -> Tensor:
        """Switch each token that has a translation with ``probability``."""
        counts = self.counts[ids]
        dice = torch.rand((2, *ids.shape), generator=rng, device=ids.device)
        chosen = (dice[0] < probability) & (counts > 0)
        pick = (dice[1] * counts).long()
        return torch.where(chosen, self.translations[ids, pick], ids)


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
