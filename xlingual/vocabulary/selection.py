"""The tokens to keep: those of the texts, those in the languages' scripts, and their parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from xlingual.errors import ConfigError
from xlingual.vocabulary.pieces import MergePaths, fixed_tokens, is_byte_level, unknown_paths
from xlingual.vocabulary.scripts import (
    byte_alphabet,
    is_writable,
    is_writable_bytes,
    script_of,
    scripts_of,
    token_bytes,
)
from xlingual.vocabulary.texts import batches_of

__all__ = ["Usage", "count_scripts", "count_usage", "select_tokens"]


@dataclass
class Usage:
    """Token counts of a corpus by id, and the tokens that its unknown words depend on."""

    counts: np.ndarray[Any, Any]
    num_texts: int = 0
    unknown_parts: set[str] = field(default_factory=set)


def count_usage(texts: Iterable[str], backend: Tokenizer, spec: dict[str, Any]) -> Usage:
    """Tokenise texts and count the tokens."""
    size = max(backend.get_vocab(with_added_tokens=True).values()) + 1
    usage = Usage(np.zeros(size, dtype=np.int64))
    model = spec["model"]
    unknown = backend.token_to_id(model["unk_token"]) if model.get("unk_token") else None
    for batch in batches_of(texts):
        usage.num_texts += len(batch)
        all_ids = [encoding.ids for encoding in backend.encode_batch_fast(batch)]
        usage.counts += np.bincount(np.concatenate(all_ids).astype(np.int64), minlength=size)
        for text, ids in zip(batch, all_ids, strict=True):
            if model["type"] == "WordPiece" and unknown in ids:
                usage.unknown_parts |= unknown_paths(_words(text, backend, unknown), model)
    return usage


def _words(text: str, backend: Tokenizer, unknown: int) -> set[str]:
    """Candidates for unknown words, in the whole text and in the parts between added tokens."""
    encoding = backend.encode(text)
    spans = zip(encoding.ids, encoding.offsets, strict=True)
    parts = {text, *(text[start:end] for number, (start, end) in spans if number == unknown)}
    words: set[str] = set()
    for part in parts:
        normalized = backend.normalizer.normalize_str(part) if backend.normalizer else part
        words.add(normalized)
        if backend.pre_tokenizer is not None:
            words |= {word for word, _ in backend.pre_tokenizer.pre_tokenize_str(normalized)}
    return words


def select_tokens(
    spec: dict[str, Any],
    vocabulary: dict[str, int],
    *,
    needed: Iterable[str],
    languages: Sequence[str] | None,
    num_tokens: int | None,
) -> tuple[set[str], set[str]]:
    """The tokens to keep, and those among them that would be kept without a corpus.

    Args:
        spec: The ``tokenizer.json``.
        vocabulary: Token -> id, added tokens included.
        needed: Tokens that a text or the user needs; none of them is ever dropped.
        languages: Languages whose scripts' tokens are kept, or None.
        num_tokens: Upper limit; only tokens that are not needed are dropped for it, the rarest
            first: by score for Unigram, by id for the others, whose trainers sort by frequency.

    Raises:
        ConfigError: The limit is below the number of needed tokens.
    """
    paths = MergePaths(spec["model"]) if spec["model"]["type"] == "BPE" else None

    def closed(tokens: Iterable[str]) -> set[str]:
        chosen = set(tokens) & vocabulary.keys()
        if paths is not None:
            chosen |= {part for token in tuple(chosen) for part in paths.parts(token)}
        return chosen & vocabulary.keys()

    fixed = fixed_tokens(spec, vocabulary)
    wanted = _of_languages(spec, vocabulary, languages) if languages else []
    required = closed({*fixed, *needed})
    required |= closed(_alphabet(required - fixed, spec, vocabulary))
    if num_tokens is not None and num_tokens < len(required):
        raise ConfigError(
            f"num_tokens is {num_tokens:,}, but {len(required):,} tokens are needed: special and "
            "byte tokens, and all tokens of the corpus; raise it, or give less text"
        )
    kept, without_corpus = set(required), closed(fixed)
    for token in wanted:
        more = closed([token])
        if num_tokens is None or len(kept) + len(more - kept) <= num_tokens:
            kept |= more
            without_corpus |= more
    return kept, without_corpus


def _alphabet(tokens: set[str], spec: dict[str, Any], vocabulary: dict[str, int]) -> set[str]:
    """Single-character tokens of the kept tokens' characters, so new words are not unknown."""
    prefix = spec["model"].get("continuing_subword_prefix") or ""
    characters = {c for token in tokens for c in token.removeprefix(prefix)}
    return {form for c in characters for form in (c, prefix + c, "▁" + c) if form in vocabulary}


def _surface(token: str, model: dict[str, Any]) -> str:
    """A token without the markers of its position in the word."""
    prefix = model.get("continuing_subword_prefix") or ""
    suffix = model.get("end_of_word_suffix") or ""
    return token.removeprefix(prefix).removesuffix(suffix).replace("▁", "")


def count_scripts(spec: dict[str, Any], tokens: Iterable[str]) -> dict[str, int]:
    """The number of tokens by script; ``"Zyyy"`` is signs, digits and parts of characters."""
    alphabet = byte_alphabet() if is_byte_level(spec) else None
    counts: Counter[str] = Counter()
    for token in tokens:
        data = token_bytes(token, alphabet) if alphabet else None
        text = _surface(token, spec["model"]) if data is None else data.decode("utf-8", "ignore")
        counts[script_of(text)] += 1
    return dict(counts.most_common())


def _of_languages(
    spec: dict[str, Any], vocabulary: dict[str, int], languages: Sequence[str]
) -> list[str]:
    """Tokens in the languages' scripts: single characters first, then by frequency."""
    scripts = scripts_of(languages)
    model = spec["model"]
    alphabet = byte_alphabet() if is_byte_level(spec) else None

    def surface(token: str) -> str:
        return _surface(token, model)

    def fits(token: str) -> bool:
        data = token_bytes(token, alphabet) if alphabet else None
        if data is None:
            return is_writable(surface(token), scripts)
        return is_writable_bytes(data, lambda text: is_writable(text, scripts))

    scores = dict(map(tuple, model["vocab"])) if model["type"] == "Unigram" else {}
    order = {token: (-scores.get(token, 0.0), number) for token, number in vocabulary.items()}
    found = [token for token in vocabulary if fits(token)]
    return sorted(found, key=lambda token: (len(surface(token)) > 1, order[token]))
