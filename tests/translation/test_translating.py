"""Translation by tiny models: languages, batches, the cache, and refused input."""

from __future__ import annotations

import json

import pytest
from datasets import Dataset

from tests.translation.conftest import ENGLISH, make_marian
from xlingual import LabelSpace, TransferData, get_task, translate_texts, translations_of
from xlingual.errors import ConfigError, DataError, ModelLoadError, OutputError
from xlingual.languages import detect_language
from xlingual.translation import Translator, translator as translator_module

SHORT = {"max_length": 12}


def test_a_pair_model_gets_its_prefix_and_writes_chinese(marian):
    translator = Translator(marian, **SHORT)
    assert translator.prefix == ">>cmn_Hans<< "
    assert translator.first_token is None
    assert detect_language(translator.translate(ENGLISH[:3])) == "zh"


@pytest.mark.parametrize(
    ("kind", "english", "chinese"), [("nllb", "eng_Latn", "zho_Hans"), ("m2m", "__en__", "__zh__")]
)
def test_a_many_language_model_is_told_both_languages(kind, english, chinese, request, monkeypatch):
    folder = request.getfixturevalue(kind)
    translator = Translator(folder, max_length=8)
    given = {}
    generate = translator.model.generate

    def spy(**kwargs):
        given.update(kwargs, ids=generate(**kwargs))
        return given["ids"]

    monkeypatch.setattr(translator.model, "generate", spy)
    translator.translate(ENGLISH[:2])
    ids = [translator.tokenizer.convert_tokens_to_ids(token) for token in (english, chinese)]
    assert translator.tokenizer.unk_token_id not in ids
    assert given["forced_bos_token_id"] == ids[1] != ids[0]
    assert (given["ids"][:, 1] == ids[1]).all()
    assert (given["input_ids"][:, 0] == ids[0]).all(), "the encoder reads the source language"
    back = Translator(folder, source_language="zh", target_language="en", max_length=8)
    assert back.first_token == ids[0]


def test_batches_do_not_mix_up_the_texts(marian):
    together = translate_texts(ENGLISH, marian, batch_size=5, **SHORT)
    assert list(together) == list(dict.fromkeys(ENGLISH))
    for text in (ENGLISH[0], ENGLISH[7]):
        assert translate_texts([text], marian, **SHORT)[text] == together[text]


def test_a_killed_run_goes_on(marian, tmp_path, monkeypatch):
    cache = tmp_path / "deep" / "translations.jsonl"
    whole = translate_texts(ENGLISH, marian, batch_size=4, **SHORT)
    done: list[str] = []
    translate = translator_module.Translator.translate

    def counted(self, texts):
        if len(done) >= 8:
            raise KeyboardInterrupt
        done.extend(texts)
        return translate(self, texts)

    monkeypatch.setattr(translator_module.Translator, "translate", counted)
    with pytest.raises(KeyboardInterrupt):
        translate_texts(ENGLISH, marian, cache=cache, batch_size=4, **SHORT)
    assert len(cache.read_text(encoding="utf-8").splitlines()) == 8
    with cache.open("a", encoding="utf-8") as file:
        file.write('{"model": "half a li')  # killed while writing
    first, done = done, []
    monkeypatch.setattr(
        translator_module.Translator,
        "translate",
        lambda self, texts: done.extend(texts) or translate(self, texts),
    )
    assert translate_texts(ENGLISH, marian, cache=cache, batch_size=4, **SHORT) == whole
    assert set(done) == set(ENGLISH) - set(first)
    done.clear()
    assert translate_texts(ENGLISH, marian, cache=cache, batch_size=4, **SHORT) == whole
    assert done == []


def test_the_cache_is_keyed_by_model_and_direction(marian, nllb, tmp_path):
    cache = tmp_path / "translations.jsonl"
    texts = ENGLISH[:1]
    first = translate_texts(texts, marian, cache=cache, **SHORT)
    second = translate_texts(texts, nllb, cache=cache, **SHORT)
    assert first != second
    assert translate_texts(texts, marian, cache=cache, **SHORT) == first
    translate_texts(texts, nllb, cache=cache, source_language="zh", target_language="en", **SHORT)
    entries = [json.loads(line) for line in cache.read_text(encoding="utf-8").splitlines()]
    assert len({(entry["model"], entry["direction"]) for entry in entries}) == 3


def test_what_is_no_translator_for_this_run(marian, nllb, encoder, tmp_path):
    with pytest.raises(ModelLoadError, match="cannot load the translation model"):
        Translator(encoder)
    with pytest.raises(ModelLoadError, match="nowhere"):
        Translator(tmp_path / "nowhere")
    reverse = make_marian(tmp_path / "zh-en", languages=("zho", "eng"))
    with pytest.raises(ConfigError, match="translates from zh to en; expected one from en to zh"):
        Translator(reverse)
    with pytest.raises(ConfigError, match="no token for 'en' or for 'xx'"):
        Translator(nllb, target_language="xx")


def test_a_model_that_does_not_write_the_language_is_noticed(tmp_path):
    pytest.importorskip("sentencepiece")
    many = str(make_marian(tmp_path / "mul-mul", languages=("mul", "mul")))
    data = TransferData(
        get_task("sequence"),
        LabelSpace(("a", "b")),
        LabelSpace(("a", "b")),
        source_train={"en": Dataset.from_dict({"text": ENGLISH[:1]})},
        target_test={"zh": Dataset.from_dict({"text": ["房间"]})},
    )
    assert translations_of(data, model=many, **SHORT)
    with pytest.raises(DataError, match="should be in English"):
        translations_of(data, role="target_test", model=many, **SHORT)
    assert translations_of(data, role="target_test") == {}


def test_a_cache_that_cannot_be_written(marian, tmp_path):
    with pytest.raises(OutputError, match="translation cache"):
        translate_texts(ENGLISH[:1], marian, cache=tmp_path, **SHORT)
