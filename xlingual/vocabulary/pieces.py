r"""A ``tokenizer.json`` with fewer tokens that splits text into the same pieces.

Let :math:`V` be the vocabulary, :math:`V' \subset V` the kept one, and take a word whose pieces
under :math:`V` are all in :math:`V'`. They are also its pieces under :math:`V'`, because:

* **WordLevel**: a word is looked up, or unknown; a word that is not in :math:`V` is not in
  :math:`V'` either.
* **WordPiece** takes the longest match at each position. By induction both are at the same
  position; the longest match in :math:`V` is in :math:`V'`, and no longer one is in either.
  *Unknown* words need more: if one of the pieces on the way to the failure is dropped, shorter ones
  may succeed. :func:`unknown_paths` gives those pieces, to be kept.
* **Unigram** takes the path with the highest score (Viterbi). The path itself still exists, and no
  other gains: removing pieces only removes competitors, with one exception. A character that has no
  piece of its own may be taken as unknown, with a score 10 below the lowest in the vocabulary.
  That is worse than the dropped piece that it replaces, *as long as the lowest score does not
  change*: so a piece with the lowest score is always kept. Ties go to the candidate that starts
  first; earlier candidates were worse and still are, later ones are at best equal and still lose.
* **BPE** applies the merge with the lowest rank, leftmost first, until there is none. A final piece
  :math:`p` is built by merges inside its own span, in the same order as if :math:`p` were the whole
  word, because the lowest rank of the word is the lowest of its span whenever it lies there. So
  its intermediate tokens depend on :math:`p` only (:meth:`MergePaths.parts`), and all are kept.
  Then every merge applied to the word is in :math:`M' \subset M`, in the same order; each was the
  first among *more* candidates, so it is first among fewer; and when :math:`M` has none left,
  :math:`M'` has none.
"""

from __future__ import annotations

import copy
import itertools
import json
import re
from collections.abc import Iterable
from typing import Any

from tokenizers import Tokenizer

from xlingual.errors import ModelLoadError
from xlingual.vocabulary.scripts import byte_alphabet

__all__ = ["KINDS", "MergePaths", "fixed_tokens", "is_byte_level", "rebuild", "unknown_paths"]

KINDS = ("WordPiece", "Unigram", "BPE", "WordLevel")

_BYTE_TOKEN = re.compile(r"<0x[0-9A-F]{2}>")


def is_byte_level(spec: dict[str, Any]) -> bool:
    """Whether the tokens are written in the byte-level alphabet."""
    return any('"ByteLevel"' in repr(spec.get(part)).replace("'", '"')
               for part in ("normalizer", "pre_tokenizer"))  # fmt: skip


def fixed_tokens(spec: dict[str, Any], vocabulary: Iterable[str]) -> set[str]:
    """Tokens that are always kept: special, added, byte and unknown ones, and the lowest score."""
    model = spec["model"]
    fixed = {token["content"] for token in spec.get("added_tokens") or []}
    fixed |= set(_template_tokens(spec.get("post_processor")))
    fixed |= {token for token in vocabulary if _BYTE_TOKEN.fullmatch(token)}
    if model.get("unk_token"):
        fixed.add(model["unk_token"])
    if is_byte_level(spec):
        fixed |= set(byte_alphabet())
    if model["type"] == "Unigram":
        if model.get("unk_id") is not None:
            fixed.add(model["vocab"][model["unk_id"]][0])
        fixed.add(min(model["vocab"], key=lambda entry: entry[1])[0])
    return fixed & set(vocabulary)


def _template_tokens(part: Any) -> Iterable[str]:
    if isinstance(part, dict):
        for key in ("sep", "cls"):
            if isinstance(part.get(key), list):
                yield part[key][0]
        for special in (part.get("special_tokens") or {}).values():
            yield from special["tokens"]
        for child in part.get("processors") or []:
            yield from _template_tokens(child)


class MergePaths:
    """The intermediate tokens of BPE merges.

    Args:
        model: The ``model`` part of a ``tokenizer.json``.
    """

    def __init__(self, model: dict[str, Any]) -> None:
        self.prefix = model.get("continuing_subword_prefix") or ""
        self.suffix = model.get("end_of_word_suffix") or ""
        self._ranks: dict[tuple[str, str], int] = {}
        # A duplicate pair has the rank that is read last, as in the tokenizers library.
        for rank, merge in enumerate(model.get("merges") or []):
            self._ranks[pair_of(merge)] = rank

    def join(self, left: str, right: str) -> str:
        """The token that a merge produces."""
        return left + right[len(self.prefix) :]

    def parts(self, token: str) -> set[str]:
        """The token's characters and the results of its merges, in the order of the algorithm."""
        body = token.removeprefix(self.prefix) if self.prefix else token
        tail = self.suffix if self.suffix and body.endswith(self.suffix) else ""
        characters = list(body[: len(body) - len(tail)])
        symbols = [self.prefix + c if n or body != token else c for n, c in enumerate(characters)]
        if symbols:
            symbols[-1] += tail
        seen = set(symbols)
        while len(symbols) > 1:
            pairs = list(itertools.pairwise(symbols))
            ranks = [self._ranks.get(pair, len(self._ranks) + 1) for pair in pairs]
            best = min(range(len(pairs)), key=ranks.__getitem__)
            if pairs[best] not in self._ranks:
                break  # unreachable, so never a piece of a text
            symbols[best : best + 2] = [self.join(*pairs[best])]
            seen.add(symbols[best])
        return seen


def pair_of(merge: Any) -> tuple[str, str]:
    """The two tokens of a merge, in the old format (joined by a space) or the new one (a list)."""
    left, right = merge.split(" ", 1) if isinstance(merge, str) else merge
    return left, right


def unknown_paths(words: Iterable[str], model: dict[str, Any]) -> set[str]:
    """The WordPiece tokens that are matched before a word turns out to be unknown."""
    vocabulary, prefix = model["vocab"], model.get("continuing_subword_prefix", "##")
    longest = max(map(len, vocabulary), default=0)
    path: set[str] = set()
    for word in words:
        start = 0
        while start < len(word) <= model.get("max_input_chars_per_word", 100):
            ends = range(min(len(word), start + longest), start, -1)
            tokens = ((end, (prefix if start else "") + word[start:end]) for end in ends)
            found = next(((end, token) for end, token in tokens if token in vocabulary), None)
            if found is None:
                break
            start = found[0]
            path.add(found[1])
    return path


def rebuild(spec: dict[str, Any], kept: set[str]) -> tuple[dict[str, Any], dict[int, int]]:
    """The specification with the kept tokens, and old id -> new id.

    The order is kept, except that the model's own tokens come before the added ones: the tokenizers
    library numbers them in this way, whatever the file says.

    Raises:
        ModelLoadError: The tokenizers library gives the tokens other ids than expected.
    """
    old = Tokenizer.from_str(_dumps(spec)).get_vocab(with_added_tokens=True)
    own = {entry if isinstance(entry, str) else entry[0] for entry in spec["model"]["vocab"]}
    tokens = sorted(kept & old.keys(), key=lambda token: (token not in own, old[token]))
    new = {token: position for position, token in enumerate(tokens)}
    trimmed = copy.deepcopy(spec)
    model = trimmed["model"]
    if model["type"] == "Unigram":
        if model.get("unk_id") is not None:
            model["unk_id"] = new[model["vocab"][model["unk_id"]][0]]
        # Only one entry of a duplicate piece was ever in use.
        places = enumerate(model["vocab"])
        model["vocab"] = [entry for n, entry in places if entry[0] in new and old[entry[0]] == n]
    else:
        model["vocab"] = {token: new[token] for token in tokens if token in model["vocab"]}
    if model["type"] == "BPE":
        model["merges"] = _kept_merges(spec["model"], new)
    for token in trimmed.get("added_tokens") or []:
        token["id"] = new[token["content"]]
    _renumber(trimmed.get("post_processor"), new)
    if trimmed.get("padding"):
        trimmed["padding"]["pad_id"] = _new_id(trimmed["padding"]["pad_token"], new)
    if Tokenizer.from_str(_dumps(trimmed)).get_vocab(with_added_tokens=True) != new:
        raise ModelLoadError(
            "the tokenizer numbers its tokens in a way that does not survive trimming (added "
            "tokens out of order); save it again with a current transformers"
        )
    return trimmed, {old[token]: position for token, position in new.items()}


def _kept_merges(model: dict[str, Any], kept: dict[str, int]) -> list[Any]:
    paths = MergePaths(model)
    pairs = ((merge, *pair_of(merge)) for merge in model.get("merges") or [])
    return [
        merge
        for merge, left, right in pairs
        if left in kept and right in kept and paths.join(left, right) in kept
    ]


def _renumber(part: Any, new: dict[str, int]) -> None:
    """Renumber special tokens in a post-processor: templates, BERT's, RoBERTa's, and sequences."""
    if not isinstance(part, dict):
        return
    for key in ("sep", "cls"):
        if isinstance(part.get(key), list):
            part[key][1] = _new_id(part[key][0], new)
    for special in (part.get("special_tokens") or {}).values():
        special["ids"] = [_new_id(token, new) for token in special["tokens"]]
    for child in part.get("processors") or []:
        _renumber(child, new)


def _new_id(token: str, new: dict[str, int]) -> int:
    if token not in new:
        raise ModelLoadError(
            f"the tokenizer puts {token!r} around every text, but has no such token; correct the "
            "post_processor or the padding in tokenizer.json"
        )
    return new[token]


def _dumps(spec: dict[str, Any]) -> str:
    return json.dumps(spec, ensure_ascii=False)
