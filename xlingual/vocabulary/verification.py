"""Verify that a trimmed tokenizer, loaded as users load it, splits text like the old one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from xlingual.errors import DataError, ModelLoadError
from xlingual.vocabulary.texts import batches_of

__all__ = ["check_ids", "compare_pieces", "plain_backend", "probe_texts"]


def plain_backend(tokenizer: Any) -> Tokenizer:
    """The underlying tokenizer as loaded by transformers, without truncation and padding."""
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.no_truncation()
    backend.no_padding()
    return backend


def probe_texts(backend: Tokenizer, ids: Iterable[int]) -> list[str]:
    """The tokens themselves as texts, for languages without texts."""
    return [text for text in backend.decode_batch([[number] for number in ids]) if text]


def check_ids(old: Tokenizer, new: Tokenizer, new_ids: dict[int, int]) -> None:
    """Check that every kept token has its new id once transformers has loaded the folder.

    Raises:
        ModelLoadError: The tokenizer class builds a different vocabulary.
    """
    before = old.get_vocab(with_added_tokens=True)
    expected = {token: new_ids[number] for token, number in before.items() if number in new_ids}
    found = new.get_vocab(with_added_tokens=True)
    wrong = [token for token, number in expected.items() if found.get(token) != number]
    wrong += sorted(found.keys() - expected.keys())
    if wrong:
        raise ModelLoadError(
            f"transformers numbers {len(wrong):,} tokens of the trimmed tokenizer differently from "
            f"its file, for example {wrong[0]!r}; save the tokenizer again with a current "
            "transformers, as PreTrainedTokenizerFast if that does not help"
        )


def compare_pieces(
    texts: Iterable[str],
    old: Tokenizer,
    new: Tokenizer,
    new_ids: dict[int, int],
    *,
    without_corpus: set[int],
    only_if_kept: bool = False,
) -> int:
    """Compare the pieces of every text before and after trimming.

    Args:
        texts: The texts.
        old: The tokenizer before.
        new: The tokenizer after.
        new_ids: Old id -> new id.
        without_corpus: Old ids that are kept without a corpus.
        only_if_kept: Skip texts with dropped tokens instead of counting them as different.

    Returns:
        The number of texts that consist only of these.

    Raises:
        DataError: A text is split differently.
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
            covered += without_corpus.issuperset(ids)
            expected = table[ids].tolist()
            if expected != after.ids and not (only_if_kept and -1 in expected):
                count += 1
                different += [text[:60]] if len(different) < 3 else []
    if count:
        raise DataError(
            f"trimming would split {count:,} of {num_texts:,} texts differently, for example "
            f"{'; '.join(map(repr, different))}; nothing was written"
        )
    return covered
