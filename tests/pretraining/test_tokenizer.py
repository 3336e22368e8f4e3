"""The joint tokenizer: what two spellings share, and what a plain load keeps."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from tests.pretraining.conftest import PAIRS
from xlingual.errors import ConfigError
from xlingual.pretraining import train_tokenizer

TEXTS = [text for pair in PAIRS for text in pair]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("我喜欢新书。", "我喜欢新書。"),  # traditional
        ("我喜欢新书。", "我喜欢新书."),  # punctuation
        ("I like the car.", "Ｉ　LIKE the ＣＡＲ．"),  # case and width
        ("我like书", "我 like 书"),  # spaces between the scripts
    ],
)
def test_spellings_that_mean_the_same_share_ids(
    tokenizer: PreTrainedTokenizerFast, one: str, other: str
) -> None:
    assert tokenizer(one).input_ids == tokenizer(other).input_ids


def test_the_same_text_gives_the_same_tokenizer() -> None:
    """The trainer's hash tables lie otherwise each time; no id may depend on it."""
    first, *others = (
        train_tokenizer(TEXTS, vocab_size=58, min_character_count=1).backend_tokenizer.to_str()
        for _ in range(4)
    )
    assert all(other == first for other in others)


def test_chinese_carries_no_word_mark(tokenizer: PreTrainedTokenizerFast) -> None:
    tokens = tokenizer.tokenize("我们喜欢 the room。")
    assert "▁" not in tokens
    assert [t for t in tokens if t.startswith("▁")] == ["▁the", "▁room"]


def test_specials_and_template(tokenizer: PreTrainedTokenizerFast) -> None:
    ids = tokenizer("room", "书").input_ids
    tokens = tokenizer.convert_ids_to_tokens(ids)
    assert (tokens[0], tokens.count("[SEP]"), tokens[-1]) == ("[CLS]", 2, "[SEP]")
    assert tokenizer.pad_token_id == 0
    assert tokenizer.mask_token == "[MASK]"


def test_a_plain_load_gives_the_same_ids(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    text = "我們買新書, I like it"
    assert loaded(text).input_ids == tokenizer(text).input_ids
    assert loaded.is_fast


@settings(max_examples=80, deadline=None)
@given(text=st.text(alphabet="ab 房间書。，,!０Ａ1\n'", max_size=40))
def test_offsets_point_into_the_text_in_order(
    tokenizer: PreTrainedTokenizerFast, text: str
) -> None:
    encoded = tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)
    offsets = encoded["offset_mapping"]
    assert all(0 <= start <= end <= len(text) for start, end in offsets)
    assert offsets == sorted(offsets)


@pytest.mark.parametrize("longest", [1, 2, 4])
def test_chinese_pieces_are_no_longer_than_asked(longest: int) -> None:
    trained = train_tokenizer(TEXTS, vocab_size=56, max_chinese_characters=longest)
    chinese = [p for p in trained.get_vocab() if any("一" <= c <= "龥" for c in p)]
    assert max(map(len, chinese)) == min(longest, max(map(len, chinese)))
    assert len(trained) == 56


def test_longer_chinese_pieces_are_words_of_the_dictionary() -> None:
    trained = train_tokenizer(TEXTS, vocab_size=56, chinese_words={"我们", "酒店"})
    chinese = {p for p in trained.get_vocab() if len(p) > 1 and all("一" <= c <= "龥" for c in p)}
    assert chinese <= {"我们", "酒店"}


@pytest.mark.parametrize(("size", "message"), [(5000, "lower it"), (20, "raise it")])
def test_a_vocabulary_of_the_wrong_size_says_so(size: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        train_tokenizer(TEXTS, vocab_size=size)
