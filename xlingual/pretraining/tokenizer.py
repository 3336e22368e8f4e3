"""A joint English-Chinese Unigram tokenizer, saved as a plain fast ``tokenizer.json``.

Everything that two spellings of one sentence should share is folded in the normalizer, so it costs
no embedding row: NFKC, lower case, Chinese punctuation onto ASCII, and traditional onto simplified
characters. The table of the last two is a *precompiled character map* inside ``tokenizer.json``:
no code of ours runs at load, and offsets still point into the text as given.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from io import BytesIO
from itertools import count, takewhile
from pathlib import Path
from typing import Any

from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from xlingual.errors import ConfigError, require
from xlingual.languages import HAN, HAN_CHARACTER

__all__ = ["SPECIAL_TOKENS", "train_tokenizer"]

logger = logging.getLogger(__name__)

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PUNCTUATION: Mapping[str, str] = {
    "。": ".", "、": ",", "“": '"', "”": '"', "‘": "'", "’": "'", "「": '"', "」": '"',
    "『": '"', "』": '"', "《": '"', "》": '"', "〈": '"', "〉": '"', "【": "[", "】": "]",
    "—": "-", "–": "-", "―": "-", "·": " ", "•": " ", "…": "...",
}  # fmt: skip
_NOT_HAN = rf"(?![{HAN}])"
# Vocabulary trained before the limits on Chinese pieces are applied, as a multiple of the target.
_OVERSHOOT = 2.5
# By so much the scores of characters differ that the trainer adds at its end.
_ADDED_CHARACTER_STEP = 1e-4


def train_tokenizer(
    texts: Iterable[str],
    *,
    vocab_size: int = 18_000,
    max_chinese_characters: int = 4,
    chinese_words: Collection[str] | None = None,
    characters: Mapping[str, str] | None = None,
    min_character_count: int = 5,
    max_length: int = 512,
) -> PreTrainedTokenizerFast:
    """Train one Unigram vocabulary (Kudo, 2018) for both languages.

    Args:
        texts: Sentences of both languages, sampled as they should weigh.
        vocab_size: Number of pieces with the special tokens.
        max_chinese_characters: Longest Chinese piece. Multi-character pieces are close to words,
            which is what a dictionary and a bag of tokens align; 1 gives single characters.
        chinese_words: Words that Chinese pieces of several characters must be among, usually the
            headwords of a dictionary; without them phrases such as ``的妻子`` take up rows.
        characters: Characters to fold onto others before tokenisation, usually
            :func:`~xlingual.data.dictionary.simplified_characters`.
        min_character_count: Rarer characters become ``[UNK]``; a large dictionary brings in
            thousands that no text uses.
        max_length: ``model_max_length`` of the tokenizer.

    Returns:
        A fast tokenizer with ``[CLS] a [SEP]`` and ``[CLS] a [SEP] b [SEP]`` templates.

    Raises:
        ConfigError: The text does not give ``vocab_size`` pieces, or has more characters.
    """
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = build_normalizer({**(characters or {}), **PUNCTUATION})
    tokenizer.pre_tokenizer = build_pre_tokenizer()
    trainer = trainers.UnigramTrainer(
        vocab_size=int(vocab_size * _OVERSHOOT),
        special_tokens=list(SPECIAL_TOKENS),
        unk_token="[UNK]",
        max_piece_length=16,
        show_progress=False,
    )
    texts = list(texts)
    # Counted beforehand: the normalizer cannot be used while its tokenizer is training.
    counts = Counter(c for text in texts for c in tokenizer.normalizer.normalize_str(text))
    tokenizer.train_from_iterator(texts, trainer=trainer)
    tokenizer = _limit_pieces(
        tokenizer,
        rare={char for char, count in counts.items() if count < min_character_count},
        vocab_size=vocab_size,
        max_chinese_characters=max_chinese_characters,
        chinese_words=None if chinese_words is None else frozenset(chinese_words),
    )
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    ids = {token: tokenizer.token_to_id(token) for token in SPECIAL_TOKENS}
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max_length,
        model_input_names=["input_ids", "attention_mask"],
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        clean_up_tokenization_spaces=False,
    )


def build_normalizer(characters: Mapping[str, str]) -> normalizers.Normalizer:
    """NFKC, then ``characters``, then lower case."""
    return normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.Precompiled(precompile_characters(characters)),
            normalizers.Lowercase(),
        ]
    )


def build_pre_tokenizer() -> pre_tokenizers.PreTokenizer:
    """Split Chinese runs, words and punctuation; mark only the starts of words with ``▁``.

    A mark before Chinese or punctuation would double pieces that mean the same, and would put the
    label of a token task on a bare ``▁``.
    """
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(rf"[{HAN}]+"), "isolated"),
            pre_tokenizers.Split(Regex(r"[^\p{L}\p{N}\p{M}\s']"), "isolated"),
            pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always"),
            pre_tokenizers.Split(Regex(rf"▁(?!{_NOT_HAN}[\p{{L}}\p{{N}}])"), "removed"),
        ]
    )


def precompile_characters(characters: Mapping[str, str]) -> bytes:
    """Compile a character map into the double-array trie that ``tokenizers`` reads.

    Raises:
        MissingDependencyError: ``sentencepiece``, which owns the format, is not installed.
    """
    spm = require("sentencepiece", extra="pretraining")
    model = BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder) / "rules.tsv"
        rules.write_text(
            "".join(
                f"{_code_points(old)}\t{_code_points(new)}\n"
                for old, new in sorted(characters.items())
                if old != new
            ),
            encoding="utf-8",
        )
        spm.SentencePieceTrainer.train(
            sentence_iterator=iter(["a b c d"]),
            model_writer=model,
            vocab_size=8,
            hard_vocab_limit=False,
            normalization_rule_tsv=str(rules),
            minloglevel=2,
        )
    normalizer_spec = _proto_field(model.getvalue(), 3)
    return _proto_field(normalizer_spec, 2)


def _code_points(text: str) -> str:
    return " ".join(f"{ord(character):X}" for character in text)


def _proto_field(message: bytes, number: int) -> bytes:
    """The first length-delimited field ``number`` of a protocol buffer message."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        if key & 7 == 2:
            size, position = _varint(message, position)
            if key >> 3 == number:
                return message[position : position + size]
            position += size
        elif key & 7 == 0:
            _, position = _varint(message, position)
        else:
            position += {1: 8, 5: 4}[key & 7]
    raise KeyError(f"no field {number} in the message")


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position


def _limit_pieces(
    tokenizer: Tokenizer,
    *,
    rare: set[str],
    vocab_size: int,
    max_chinese_characters: int,
    chinese_words: frozenset[str] | None,
) -> Tokenizer:
    """Drop rare characters, unwanted Chinese pieces, and then the least probable pieces."""

    def is_wanted(piece: str) -> bool:
        if not rare.isdisjoint(piece):
            return False
        if len(piece) == 1 or not _is_chinese(piece):
            return True
        known = chinese_words is None or piece in chinese_words
        return known and len(piece) <= max_chinese_characters

    state: dict[str, Any] = json.loads(tokenizer.to_str())
    pieces = state["model"]["vocab"]
    specials = pieces[: len(SPECIAL_TOKENS)]
    learned = _in_fixed_order(pieces[len(SPECIAL_TOKENS) :])
    wanted = [piece for piece in learned if is_wanted(piece[0])]
    single = [piece for piece in wanted if len(piece[0]) == 1]
    longer = [piece for piece in wanted if len(piece[0]) > 1]
    if len(single) + len(specials) > vocab_size:
        raise ConfigError(
            f"vocab_size={vocab_size} does not hold the {len(single)} characters of the text; "
            "raise it, or raise min_character_count"
        )
    kept = single + longer[: vocab_size - len(specials) - len(single)]
    if len(kept) + len(specials) < vocab_size:
        raise ConfigError(
            f"vocab_size={vocab_size} asks for more pieces than the text gives "
            f"({len(kept) + len(specials)}); lower it or add text"
        )
    kept.sort(key=_by_score)
    logger.info("%d single characters, %d longer pieces", len(single), len(kept) - len(single))
    state["model"]["vocab"] = specials + kept
    return Tokenizer.from_str(json.dumps(state))


def _in_fixed_order(learned: list[list[Any]]) -> list[list[Any]]:
    """The same pieces whatever order the trainer's hash tables had.

    The last digits of a score depend on it, and so does which score a character gets that no piece
    of the final vocabulary has brought in: the lowest of all, one step more, two steps more, ...
    """
    lowest = min((score for _, score in learned), default=0.0)
    added: dict[int, list[str]] = {}
    for piece, score in learned:
        steps = (score - lowest) / _ADDED_CHARACTER_STEP
        if len(piece) == 1 and abs(steps - round(steps)) < 1e-3:
            added.setdefault(round(steps), []).append(piece)
    run = list(takewhile(added.__contains__, count()))
    characters = sorted(piece for steps in run for piece in added[steps])
    scores = (lowest + steps * _ADDED_CHARACTER_STEP for steps in run for _ in added[steps])
    fixed = dict(zip(characters, scores, strict=True))
    pieces = [[piece, round(fixed.get(piece, score), 6)] for piece, score in learned]
    return sorted(pieces, key=_by_score)


def _by_score(piece: list[Any]) -> tuple[float, str]:
    return -piece[1], piece[0]


def _is_chinese(piece: str) -> bool:
    return HAN_CHARACTER.search(piece) is not None
