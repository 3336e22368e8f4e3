"""The tokenizer report: counts that show whether a tokenizer suits the texts.

An English vocabulary reads Chinese as a run of unknown tokens, a byte-level one as three pieces per
character, and the length limit then truncates what is left. None of this raises an error: training
runs, and the model guesses.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from xlingual.errors import DataError

__all__ = ["TokenizerFit", "tokenizer_fit"]

MAX_UNKNOWN_SHARE = 0.05
MAX_TRUNCATED_SHARE = 0.20
MAX_BYTE_SHARE = 0.20

_PER_CHARACTER = ("zh", "ja", "th")  # written without spaces: there are no words to count by
_BYTE_PIECE = re.compile(r"<0x[0-9A-Fa-f]{2}>")
_BATCH = 256


@dataclass(frozen=True)
class TokenizerFit:
    """The report on a tokenizer and a set of texts.

    Attributes:
        language: Determines the unit of fertility: Chinese is counted by character.
        num_texts: Number of texts that were counted.
        fertility: Tokens per character (zh) or per word between spaces (en).
        unknown_share: Share of characters, without spaces, that are inside unknown tokens.
        byte_share: Share of letters and characters that are split into bytes, two or more tokens
            for one.
        continued_share: Share of tokens that continue a word; None if words are not separated.
        truncated_share: Share of texts that are longer than ``max_length`` with special tokens.
        max_length: Tokens per row.
    """

    language: str
    num_texts: int
    fertility: float
    unknown_share: float
    byte_share: float
    continued_share: float | None
    truncated_share: float
    max_length: int

    @property
    def problems(self) -> list[str]:
        """A sentence for each count that is bad enough to doubt the scores; empty if none is."""
        found = []
        if self.unknown_share > MAX_UNKNOWN_SHARE:
            found.append(
                f"{self.unknown_share:.0%} of the {self.language} characters are unknown to this "
                "tokenizer, so the model cannot tell them apart; start from a multilingual or "
                "Chinese encoder"
            )
        if self.byte_share > MAX_BYTE_SHARE:
            found.append(
                f"{self.byte_share:.0%} of the {self.language} characters are cut into bytes, so "
                "the encoder has hardly seen this language; start from a multilingual encoder"
            )
        if self.truncated_share > MAX_TRUNCATED_SHARE:
            found.append(
                f"{self.truncated_share:.0%} of the {self.language} texts are longer than "
                f"{self.max_length} tokens and lose their end; raise --max_length"
            )
        return found

    def to_results(self, prefix: str) -> dict[str, float]:
        """Flat keys for ``all_results.json``, for example ``fit_zh_fertility``."""
        names = ["fertility", "unknown_share", "byte_share", "continued_share", "truncated_share"]
        values = {name: getattr(self, name) for name in names}
        return {f"{prefix}{name}": v for name, v in values.items() if v is not None}


def tokenizer_fit(
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    *,
    language: str,
    max_length: int,
    text_pairs: Sequence[str] | None = None,
    max_texts: int = 5000,
) -> TokenizerFit:
    """Make the report on a tokenizer: fertility, unknown characters, bytes, truncated texts.

    Args:
        tokenizer: A fast tokenizer; a slow one gives no offsets, and unknown characters are then
            counted by tokens and bytes by their spelling.
        texts: The texts.
        language: ``"zh"``, ``"en"``, ...
        max_length: The limit that training and prediction use.
        text_pairs: Second sides of pairs; they count as text, and towards the length of the row.
        max_texts: From more texts an even sample is taken: the shares settle long before.

    Raises:
        DataError: There is no text.
    """
    if isinstance(texts, str) or not len(texts):
        raise DataError("the tokenizer report needs a list with at least one text")
    chosen = np.unique(np.linspace(0, len(texts) - 1, min(len(texts), max_texts)).astype(int))
    sides = [[side[int(i)] for i in chosen] for side in (texts, text_pairs) if side is not None]
    by_word = language.split("-")[0].lower() not in _PER_CHARACTER
    counts, lengths = _Counts(), np.zeros(len(chosen), dtype=int)
    for side in sides:
        lengths += [counts.add(*row, by_word=by_word) for row in _encoded(tokenizer, side)]
    special = tokenizer.num_special_tokens_to_add(pair=len(sides) > 1)
    units = counts.words if by_word else counts.characters
    continued = counts.continued / max(1, counts.tokens) if by_word else None
    return TokenizerFit(
        language=language,
        num_texts=len(chosen),
        fertility=counts.tokens / max(1, units),
        unknown_share=counts.unknown / max(1, counts.characters),
        byte_share=counts.in_bytes / max(1, counts.characters),
        continued_share=continued,
        truncated_share=float((lengths + special > max_length).mean()),
        max_length=max_length,
    )


def _encoded(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> Any:
    """Each text with its pieces, which of them are unknown, and their offsets (None if slow)."""
    unknown_id = tokenizer.unk_token_id
    for start in range(0, len(texts), _BATCH):
        part = texts[start : start + _BATCH]
        encoded: Any = tokenizer(
            part,
            add_special_tokens=False,
            return_offsets_mapping=tokenizer.is_fast,
            return_attention_mask=False,
            verbose=False,
        )
        for row, text in enumerate(part):
            ids = encoded["input_ids"][row]
            offsets = encoded["offset_mapping"][row] if tokenizer.is_fast else None
            unknown = [unknown_id is not None and i == unknown_id for i in ids]
            yield text, tokenizer.convert_ids_to_tokens(ids), unknown, offsets


class _Counts:
    """Sums over texts; a text is counted in one pass over its tokens."""

    def __init__(self) -> None:
        self.tokens = self.words = self.characters = 0
        self.unknown = self.in_bytes = self.continued = 0

    def add(
        self,
        text: str,
        pieces: list[str],
        unknown: list[bool],
        offsets: list[tuple[int, int]] | None,
        *,
        by_word: bool,
    ) -> int:
        self.tokens += len(pieces)
        self.words += len(text.split())
        self.characters += sum(not char.isspace() for char in text)
        if offsets is None:
            self.unknown += sum(unknown)
            self.in_bytes += sum(bool(_BYTE_PIECE.fullmatch(piece)) for piece in pieces) // 3
            if by_word:
                self.continued += max(0, len(pieces) - len(text.split()))
            return len(pieces)
        covered = np.zeros(len(text), dtype=int)
        not_known = np.zeros(len(text), dtype=bool)
        for piece, is_unknown, (start, end) in zip(pieces, unknown, offsets, strict=True):
            if piece in ("▁", "Ġ"):  # a bare space shares its offsets with the next character
                continue
            covered[start:end] += 1
            not_known[start:end] |= is_unknown
            first = start == 0 or (start < len(text) and text[start].isspace())
            if by_word and not (first or text[start - 1].isspace()):
                self.continued += 1
        self.unknown += sum(not text[i].isspace() for i in np.flatnonzero(not_known))
        self.in_bytes += sum(text[i].isalnum() for i in np.flatnonzero(covered > 1))
        return len(pieces)
