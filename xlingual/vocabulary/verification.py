"""Whether a trimmed tokenizer, loaded as users load it, cuts text as the old one does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from xlingual.errors import DataError, ModelLoadError
from xlingual.vocabulary.texts import batches_of

__all__ = ["check_ids", "compare_pieces", "plain_backend", "probe_texts"]


def plain_backend(tokenizer: Any) -> Tokenizer:
    """The inner tokenizer as it is loaded by transformers, without truncation and padding."""
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.no_truncation()
    backend.no_padding()
    return backend


def probe_texts(backend: Tokenizer, ids: Iterable[int]) -> list[str]:
    """The tokens themselves as texts, for languages of which there is no text."""
    return [text for text in backend.decode_batch([[number] for number in ids]) if text]


def check_ids(old: Tokenizer, new: Tokenizer, new_ids: dict[int, int]) -> None:
    """Every kept token has its new id once transformers has loaded the folder.

    Raises:
        ModelLoadError: The class of the tokenizer builds itself another vocabulary.
    """
    before = old.get_vocab(with_added_tokens=True)
    expected = {token: new_ids[number] for token, number in before.items() if number in new_ids}
    found = new.get_vocab(with_added_tokens=True)
    wrong = [token for token, number in expected.items() if found.get(token) != number]
    wrong += sorted(found.keys() - expected.keys())
    if wrong:
        raise ModelLoadError(
            f"transformers numbers {len(wrong):,} tokens of the trimmed tokenizer otherwise than "
            f"its file, for example {wrong[0]!r}; save the tokenizer again with a current "
            "transformers, as PreTrainedTokenizerFast if that does not help"
        )


def compare_pieces(
    texts: Iterable[str],
    old: Tokenizer,
    new: Tokenizer,
    new_ids: dict[int, int],
    *,
    alone: set[int],
    only_if_kept: bool = False,
) -> int:
    """Cut every text twice; the number of texts that would be covered without having been asked.

    Args:
        texts: What to cut.
        old: The tokenizer before.
        new: The tokenizer after.
        new_ids: Old id -> new id.
        alone: Old ids that are kept without a corpus.
        only_if_kept: Pass over texts with dropped tokens instead of counting them as different.

    Raises:
        DataError: A text is cut otherwise than before.
    """
    table = np.full(max(old.get_vocab(with_added_tokens=True).values()) + 1, -1)
    table[list(new_ids)] = list(new_ids.values())
    different: list[str] = []
    count = num_texts = covered = 0
    for batch in batches_of(texts):
        pairs = zip(batch, old.encode_batch_fast(batch), new.encode_batch_fast(batch), strict=True)
        for text, before, after in pairs:
            num_texts += 1
            ids = before.ids
            covered += alone.issuperset(ids)
            expected = table[ids].tolist()
            if expected != after.ids and not (only_if_kept and -1 in expected):
                count += 1
                different += [text[:60]] if len(different) < 3 else []
    if count:
        raise DataError(
            f"trimming would cut {count:,} of {num_texts:,} texts into other pieces, for example "
            f"{'; '.join(map(repr, different))}; nothing was written"
        )
    return covered
