"""Trimming to texts: files of several kinds, limits, random texts, and failures."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from safetensors import SafetensorError
from transformers import AutoModel, AutoTokenizer, BertConfig, ByT5Tokenizer

from tests.vocabulary.tiny_tokenizers import FOREIGN, KINDS, TEXTS, fast, trained
from xlingual.errors import ConfigError, DataError, ModelLoadError, OutputError
from xlingual.vocabulary import trim_vocabulary, weight_rows

CHARACTERS = sorted({*"".join(TEXTS), " "})


def model_with(folder: Path, kind: str) -> Path:
    tokenizer = fast(trained(kind))
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=66,
    )  # fmt: skip
    AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_with(tmp_path_factory.mktemp("model"), "Unigram")


@pytest.fixture(scope="module", params=KINDS)
def trimmed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    place = tmp_path_factory.mktemp("by-corpus")
    (place / "c.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    folder = model_with(place / "model", request.param)
    trim_vocabulary(folder, place / "small", corpus=place / "c.txt")
    return request.param, *(AutoTokenizer.from_pretrained(f) for f in (folder, place / "small"))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([*CHARACTERS, *TEXTS[0].split(), "房间", "早餐"]), max_size=25))
def test_random_texts_over_the_corpus_characters(trimmed, parts: list[str]) -> None:
    kind, before, after = trimmed
    text = "".join(parts)
    pieces, found = before.tokenize(text), after.tokenize(text)
    is_known = "[UNK]" not in pieces
    if set(pieces) <= after.get_vocab().keys() and (is_known or kind != "WordPiece"):
        assert found == pieces
    if is_known:  # other pieces at worst, never unknown ones: all single characters are kept
        assert "[UNK]" not in found


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "json", "txt"])
def test_files(model: Path, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"corpus.{suffix}"
    rows = [{"text": text, "label": "好评"} for text in TEXTS]
    if suffix in ("csv", "tsv"):
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(
                file, ["text", "label"], delimiter="," if suffix == "csv" else "\t"
            )
            writer.writeheader()
            writer.writerows(rows)
    elif suffix == "json":
        path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    else:
        lines = [json.dumps(row) for row in rows] if suffix == "jsonl" else TEXTS
        path.write_text("\n".join(lines), encoding="utf-8")
    report = trim_vocabulary(model, tmp_path / "small", corpus=str(path))
    old, new = (AutoTokenizer.from_pretrained(f) for f in (model, tmp_path / "small"))
    assert [old.tokenize(text) for text in TEXTS] == [new.tokenize(text) for text in TEXTS]
    assert report.num_texts == len(TEXTS)
    assert report.unknown_share == 0
    assert report.scripts_after["Hani"] > 0
    assert "Thai" in report.scripts_before
    assert "Thai" not in report.scripts_after


@pytest.mark.parametrize("kind", ["Unigram", "BPE"])
def test_a_limit_that_can_be_kept(tmp_path: Path, kind: str) -> None:
    model, corpus = model_with(tmp_path / "model", kind), tmp_path / "c.txt"
    corpus.write_text("\n".join([TEXTS[1], FOREIGN[0]]), encoding="utf-8")
    needed = trim_vocabulary(model, tmp_path / "a", corpus=corpus).vocabulary_after
    free = trim_vocabulary(model, tmp_path / "b", corpus=corpus, languages="en,zh")
    limit = (needed + free.vocabulary_after) // 2
    assert needed < limit < free.vocabulary_after
    report = trim_vocabulary(
        model, tmp_path / "c", corpus=corpus, languages="en, zh", num_tokens=limit
    )
    # A merge with its parts may not fit where a single token would.
    assert needed < report.vocabulary_after <= limit
    old, new = (AutoTokenizer.from_pretrained(f) for f in (model, tmp_path / "c"))
    for text in (TEXTS[1], FOREIGN[0]):
        assert old.tokenize(text) == new.tokenize(text)
    with pytest.raises(ConfigError, match="are needed"):
        trim_vocabulary(model, tmp_path / "d", corpus=corpus, num_tokens=needed - 1)


def test_unknown_words_stay_unknown(tmp_path: Path) -> None:
    model, corpus = model_with(tmp_path / "model", "WordPiece"), tmp_path / "c.txt"
    texts = ["roomЫ clean龘", "很快[MASK]servi龘", "早餐[MASK]"]
    corpus.write_text("\n".join(texts), encoding="utf-8")
    old = AutoTokenizer.from_pretrained(model)
    assert sum(old.tokenize(text).count("[UNK]") for text in texts) >= 2
    trim_vocabulary(model, tmp_path / "small", corpus=corpus)
    new = AutoTokenizer.from_pretrained(tmp_path / "small")
    assert [old.tokenize(text) for text in texts] == [new.tokenize(text) for text in texts]


def test_model_and_languages_that_share_nothing(
    model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trim_vocabulary(model, tmp_path / "small", languages=["en", "ko"])
    assert "no token in the script of ko" in caplog.text
    assert "script of en" not in caplog.text
    (tmp_path / "c.txt").write_text("\n".join(FOREIGN), encoding="utf-8")
    trim_vocabulary(model, tmp_path / "other", languages="en,zh", corpus=tmp_path / "c.txt")
    assert "do languages and files belong together" in caplog.text


def test_a_slow_tokenizer_is_refused(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "slow"
    AutoModel.from_pretrained(model).save_pretrained(folder)
    ByT5Tokenizer().save_pretrained(folder)
    with pytest.raises(ModelLoadError, match="only fast tokenizers"):
        trim_vocabulary(folder, tmp_path / "small", languages="en")


def test_corpora_without_text(model: Path, tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text("\n\n", encoding="utf-8")
    with pytest.raises(DataError):
        trim_vocabulary(model, tmp_path / "small", corpus=tmp_path / "c.txt")
    with pytest.raises(DataError, match="expected a file"):
        trim_vocabulary(model, tmp_path / "small", corpus=tmp_path / "none.txt")
    assert not (tmp_path / "small").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_no_permission(model: Path, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    with pytest.raises(OutputError, match="cannot be written"):
        trim_vocabulary(model, locked / "small", languages="en")


def test_output_below_a_file(model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot be written"):
        trim_vocabulary(model, tmp_path / "file" / "small", languages="en")


@pytest.mark.parametrize("error", [OSError(28, "No space left"), SafetensorError("I/O error")])
def test_a_full_disk_leaves_nothing(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*args: object, **settings: object) -> None:
        raise error

    monkeypatch.setattr(weight_rows, "save_file", fail)
    with pytest.raises(OutputError, match="cannot be written"):
        trim_vocabulary(model, tmp_path / "small", languages="en")
    assert list(tmp_path.iterdir()) == []


def test_broken_weights(tmp_path: Path) -> None:
    model = model_with(tmp_path / "model", "BPE")
    content = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(content[:-100])
    with pytest.raises(ModelLoadError, match="cannot be read"):
        trim_vocabulary(model, tmp_path / "small", languages="en")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_corpus_without_a_header_in_big5(model: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "c.tsv"
    corpus.write_bytes("很喜歡這家飯店\t1\n房間太吵，睡不好\t0\n".encode("big5"))
    report = trim_vocabulary(
        model, tmp_path / "small", corpus=corpus, columns="text,stars", encoding="big5"
    )
    assert report.as_dict()["num_texts"] == 2
