"""Continual alignment: keep translations close together while the encoder is fine-tuned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import PreTrainedTokenizerBase

from xlingual.data.bitext import Bitext
from xlingual.errors import ConfigError, DataError
from xlingual.transfer.loss.base import LossInputs, TransferLoss
from xlingual.transfer.loss.info_nce import info_nce

__all__ = ["BitextContrastLoss", "EncodedPairs", "encode_pairs"]

# A batch is drawn from this many times its size of pairs of similar length: otherwise the contrast
# would learn to tell pairs apart by their length.
_NEIGHBOURHOOD = 8


@dataclass(frozen=True)
class EncodedPairs:
    """Sentence pairs as token ids, sorted by the length of the English side.

    Attributes:
        source: The tokenizer's columns of the English sides, not padded.
        target: The same of the Chinese sides.
        source_keys: Equal where the English sentences are equal.
        target_keys: The same for the Chinese ones.
        pad_token_id: Pads short rows.
    """

    source: dict[str, list[list[int]]]
    target: dict[str, list[list[int]]]
    source_keys: list[int]
    target_keys: list[int]
    pad_token_id: int

    def __len__(self) -> int:
        return len(self.source_keys)

    def rows(self, chosen: Sequence[int]) -> dict[str, Tensor]:
        """Model inputs of some pairs: all English sides, then all Chinese ones."""
        rows = {}
        for name, values in self.source.items():
            sides = [values[i] for i in chosen] + [self.target[name][i] for i in chosen]
            length = max(map(len, sides))
            fill = self.pad_token_id if name == "input_ids" else 0
            padded = [
                F.pad(torch.tensor(side), (0, length - len(side)), value=fill) for side in sides
            ]
            rows[name] = torch.stack(padded)
        return rows


def encode_pairs(
    bitext: Bitext, *, tokenizer: PreTrainedTokenizerBase, max_length: int = 64
) -> EncodedPairs:
    """Tokenise sentence pairs for :class:`BitextContrastLoss`.

    Args:
        bitext: Clean pairs, from ``read_bitext`` (which refuses swapped sides).
        tokenizer: Of the model that will read them.
        max_length: Tokens of a side; longer ones are truncated.

    Raises:
        DataError: There are fewer than two different pairs, which leaves nothing to contrast.
    """
    if len(set(bitext.english)) < 2 or len(set(bitext.chinese)) < 2:
        raise DataError(
            f"a contrast needs at least two different sentence pairs; {bitext.name!r} has "
            f"{len(set(zip(bitext.english, bitext.chinese, strict=True)))}"
        )
    order = sorted(range(len(bitext)), key=lambda i: len(bitext.english[i]))
    english, chinese = ([side[i] for i in order] for side in (bitext.english, bitext.chinese))
    sides: list[Any] = [
        dict(tokenizer(texts, truncation=True, max_length=max_length))
        for texts in (english, chinese)
    ]
    return EncodedPairs(
        source=sides[0],
        target=sides[1],
        source_keys=_keys(english),
        target_keys=_keys(chinese),
        pad_token_id=int(tokenizer.pad_token_id or 0),
    )


class BitextContrastLoss(TransferLoss):
    r"""InfoNCE between the two sides of sentence pairs, in a share of the steps.

    .. math:: R = -\frac{w}{2 n} \sum_i \left[\log\frac{e^{s_{ii}}}{\sum_j e^{s_{ij}}}
              + \log\frac{e^{s_{ii}}}{\sum_j e^{s_{ji}}}\right],
              \quad s_{ij} = \cos(x_i, y_j) / \tau

    with :math:`x_i, y_i` the features of a sentence and its translation; pairs that share one of
    their sentences are not negatives of each other. Fine-tuning on one language pulls the two
    languages apart (Efimov et al. 2022), and a few alignment steps prevent it. The steps and pairs
    depend on ``seed`` and the step's number alone.

    Args:
        pairs: From :func:`encode_pairs`.
        weight: :math:`w`.
        step_share: Share of the steps with a contrast; 0.1 to 0.2 are enough.
        num_pairs: Pairs in such a step, *n*; fewer if there are fewer.
        contrast_temperature: :math:`\tau`; 0.05 after SimCSE.
        seed: Seed of steps and pairs.

    Attributes:
        max_ngram_loss: For the guard, ``safer_of``: the student must agree with the target's
            n-grams at least as often as the zero-shot model.

    Raises:
        ConfigError: ``step_share`` is outside (0, 1], or ``num_pairs`` below 2.
    """

    needs_features = True
    max_ngram_loss = 0.0

    def __init__(
        self,
        pairs: EncodedPairs,
        *,
        weight: float = 1.0,
        step_share: float = 0.15,
        num_pairs: int = 32,
        contrast_temperature: float = 0.05,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not 0 < step_share <= 1 or num_pairs < 2:
            raise ConfigError(
                "the bitext contrast needs a step_share in (0, 1] and at least 2 pairs a step; "
                f"got {step_share} and {num_pairs}"
            )
        self.pairs = pairs
        self.weight = weight
        self.step_share = step_share
        self.num_pairs = min(num_pairs, len(pairs))
        self.contrast_temperature = contrast_temperature
        self.seed = seed
        self._chosen: list[int] = []

    def extra_rows(self, inputs: Mapping[str, Tensor], *, step: int) -> dict[str, Tensor] | None:
        """Both sides of the step's pairs, or None in most steps."""
        generator = np.random.default_rng((self.seed, step))
        if generator.random() >= self.step_share:
            return None
        size = min(_NEIGHBOURHOOD * self.num_pairs, len(self.pairs))
        begin = int(generator.integers(len(self.pairs) - size + 1))
        self._chosen = (begin + generator.permutation(size)[: self.num_pairs]).tolist()
        device = inputs["input_ids"].device
        return {name: rows.to(device) for name, rows in self.pairs.rows(self._chosen).items()}

    def forward(self, batch: LossInputs) -> Tensor:
        """The contrast of the step's pairs; zero in steps without."""
        if batch.extra_features is None:
            return batch.logits.new_zeros(())
        source, target = batch.extra_features.chunk(2)
        with torch.autocast(source.device.type, enabled=False):
            contrast = info_nce(
                source,
                target,
                temperature=self.contrast_temperature,
                source_keys=self._keys_of(self.pairs.source_keys, source.device),
                target_keys=self._keys_of(self.pairs.target_keys, source.device),
            )
        return self.weight * contrast

    def _keys_of(self, keys: list[int], device: torch.device) -> Tensor:
        return torch.tensor([keys[i] for i in self._chosen], device=device)


def _keys(texts: list[str]) -> list[int]:
    numbers: dict[str, int] = {}
    return [numbers.setdefault(text, len(numbers)) for text in texts]
