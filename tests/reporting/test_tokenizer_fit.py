"""The tokenizer report: counts by hand, and vocabularies that cannot read Chinese."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from xlingual.errors import DataError
from xlingual.reporting.tokenizer_fit import tokenizer_fit

CHINESE = ["房间很干净，下次还来。", "手機壞了 WiFi", "早餐不錯"]


@pytest.fixture(scope="module")
def english_only() -> PreTrainedTokenizerFast:
    """WordPiece of an English BERT: it sets Chinese characters apart and knows none of them."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "room", "is", "clean", "un", "##clean"]
    vocabulary = {word: i for i, word in enumerate([*words, ",", "."])}
    inner = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    inner.normalizer = normalizers.BertNormalizer(lowercase=True)
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="[UNK]", pad_token="[PAD]")


@pytest.fixture(scope="module")
def byte_level() -> PreTrainedTokenizerFast:
    vocabulary = {char: i for i, char in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    inner = Tokenizer(models.BPE(vocabulary, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=inner)


def test_words_of_english(english_only) -> None:
    texts = ["The room is unclean", "the room"]
    fit = tokenizer_fit(english_only, texts, language="en", max_length=6)
    assert fit.fertility == pytest.approx(7 / 6)
    assert fit.continued_share == pytest.approx(1 / 7)
    assert (fit.unknown_share, fit.byte_share) == (0, 0)
    assert fit.truncated_share == 0.5, "five pieces and two special tokens are more than six"
    assert fit.num_texts == 2


def test_an_english_vocabulary_on_chinese_is_called_bad(english_only) -> None:
    fit = tokenizer_fit(english_only, CHINESE, language="zh", max_length=128)
    assert fit.unknown_share > 0.9
    assert fit.continued_share is None
    assert len(fit.problems) == 1
    assert "zh characters are unknown to this tokenizer" in fit.problems[0]
    assert "start from a multilingual or Chinese encoder" in fit.problems[0]


def test_bytes_are_seen(byte_level) -> None:
    fit = tokenizer_fit(byte_level, ["早餐不錯"], language="zh", max_length=128)
    assert fit.fertility == 3
    assert fit.byte_share == 1
    assert "cut into bytes" in fit.problems[0]
    assert tokenizer_fit(byte_level, ["good"], language="en", max_length=8).byte_share == 0


def test_a_vocabulary_that_fits_is_silent(tokenizer) -> None:
    texts = ["房间干净又安静，我们很喜欢。", "check in很慢，床糟透了。"]
    fit = tokenizer_fit(tokenizer, texts, language="zh", max_length=64)
    assert fit.problems == []
    assert fit.unknown_share == 0
    assert 0.5 < fit.fertility <= 1


def test_the_embedded_tokenizer_fits() -> None:
    from xlingual.models.loading import load_tokenizer

    fit = tokenizer_fit(load_tokenizer(), CHINESE, language="zh", max_length=64)
    assert fit.problems == []
    assert fit.byte_share == 0


def test_long_texts_are_warned_of(tokenizer) -> None:
    fit = tokenizer_fit(tokenizer, ["房间很干净"] * 3 + ["脏"], language="zh", max_length=4)
    assert fit.truncated_share == 0.75
    assert "longer than 4 tokens and lose their end; raise --max_length" in fit.problems[-1]


def test_pairs_are_one_row(tokenizer) -> None:
    fit = tokenizer_fit(tokenizer, ["房间"], text_pairs=["干净"], language="zh", max_length=6)
    assert fit.truncated_share == 1, "four characters and three special tokens"
    assert fit.fertility == 1


def test_a_sample_is_enough(tokenizer) -> None:
    fit = tokenizer_fit(tokenizer, ["房间"] * 1000, language="zh", max_length=8, max_texts=10)
    assert (fit.num_texts, fit.fertility) == (10, 1)


def test_the_keys(tokenizer) -> None:
    fit = tokenizer_fit(tokenizer, ["房间"], language="zh", max_length=8)
    assert fit.to_results("fit_zh_").keys() == {
        "fit_zh_fertility", "fit_zh_unknown_share", "fit_zh_byte_share", "fit_zh_truncated_share"
    }  # fmt: skip


def test_no_text_is_refused(tokenizer) -> None:
    with pytest.raises(DataError, match="at least one text"):
        tokenizer_fit(tokenizer, [], language="zh", max_length=8)
