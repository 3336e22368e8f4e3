"""Trimmed models split text and predict as before, for every kind of tokenizer."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings, strategies as st
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    pipeline,
)

from tests.vocabulary.tiny_tokenizers import KINDS, TEXTS, config_of, fast, trained
from xlingual.errors import ConfigError, ModelLoadError, OutputError
from xlingual.vocabulary import trim_vocabulary


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def folders(kind: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    tokenizer = fast(trained(kind))
    found = {}
    for head, auto in (
        ("lm", AutoModelForMaskedLM),
        ("labels", AutoModelForSequenceClassification),
    ):
        found[head] = tmp_path_factory.mktemp(head)
        torch.manual_seed(1)
        auto.from_config(config_of(kind, len(tokenizer))).save_pretrained(found[head])
        tokenizer.save_pretrained(found[head])
    (found["labels"] / "calibration.json").write_text('{"calibration_temperature": 1.4}')
    return found


def loaded(auto: Any, folder: Path) -> Any:
    """Copy the model out of the mapped file, where a matrix may have another alignment, which
    changes the order of summation in matrix products."""
    return copy.deepcopy(auto.from_pretrained(folder)).eval()


@pytest.fixture(scope="module")
def by_language(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory):
    output = tmp_path_factory.mktemp("out") / "en-zh"
    trim_vocabulary(folders["labels"], output, languages=["en", "zh"])
    return AutoTokenizer.from_pretrained(folders["labels"]), AutoTokenizer.from_pretrained(output)


@pytest.mark.parametrize("head", ["lm", "labels"])
def test_pieces_and_logits_stay(folders: dict[str, Path], tmp_path: Path, head: str) -> None:
    output = tmp_path / "small"
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join(TEXTS), encoding="utf-8")
    report = trim_vocabulary(folders[head], output, corpus=[corpus])
    assert report.vocabulary_after < report.vocabulary_before
    assert report.parameters_after < report.parameters_before
    assert json.loads((output / "trim_report.json").read_text())["num_texts"] == len(TEXTS)

    auto = AutoModelForMaskedLM if head == "lm" else AutoModelForSequenceClassification
    old, new = (loaded(auto, folder) for folder in (folders[head], output))
    before, after = (AutoTokenizer.from_pretrained(folder) for folder in (folders[head], output))
    assert new.config.vocab_size == len(after) == report.vocabulary_after
    assert new.config.pad_token_id == after.pad_token_id
    assert before.special_tokens_map == after.special_tokens_map
    if head == "lm":
        weight = new.get_output_embeddings().weight
        assert weight.data_ptr() == new.get_input_embeddings().weight.data_ptr()
    columns = before.convert_tokens_to_ids(after.convert_ids_to_tokens(range(len(after))))
    for text in TEXTS:
        assert before.tokenize(text) == after.tokenize(text)
        with torch.no_grad():
            expected = old(**before(text, return_tensors="pt"), output_hidden_states=True)
            found = new(**after(text, return_tensors="pt"), output_hidden_states=True)
        for states in zip(expected.hidden_states, found.hidden_states, strict=True):
            assert torch.equal(*states)
        if head == "labels":
            assert torch.equal(found.logits, expected.logits)
        else:  # a product with fewer columns may be summed in another order
            logits = expected.logits[..., columns]
            torch.testing.assert_close(found.logits, logits, rtol=0, atol=1e-6)


def test_languages_drop_other_scripts(folders: dict[str, Path], kind: str, by_language) -> None:
    before, after = by_language
    for text in TEXTS:
        assert before.tokenize(text) == after.tokenize(text)
    assert len(after) < len(before)
    if "byte-level" not in kind:
        foreign = [t for t in after.get_vocab() if any("\u0400" <= c < "\u0e80" for c in t)]
        assert len(foreign) <= (kind == "Unigram")  # the piece of the lowest score, whatever it is


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.text(st.sampled_from(sorted({*"".join(TEXTS), *"ФЫй ไ ك zq龘"})), max_size=40))
def test_any_text_in_kept_tokens(by_language, text: str) -> None:
    before, after = by_language
    pieces = before.tokenize(text)
    if set(pieces) <= after.get_vocab().keys():
        assert after.tokenize(text) == pieces


def test_pipeline_loads_it_with_labels_and_calibration(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    output = tmp_path / "small"
    trim_vocabulary(folders["labels"], output, languages="en,zh")
    assert (output / "calibration.json").is_file()
    before = pipeline("text-classification", str(folders["labels"]))(TEXTS)
    after = pipeline("text-classification", str(output))(TEXTS)
    assert [row["label"] for row in before] == [row["label"] for row in after]
    assert [row["score"] for row in after] == pytest.approx([row["score"] for row in before])


def test_num_tokens_never_drops_what_the_text_uses(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    corpus = tmp_path / "c.txt"
    corpus.write_text(TEXTS[1], encoding="utf-8")
    with pytest.raises(ConfigError, match="are needed"):
        trim_vocabulary(folders["lm"], tmp_path / "x", corpus=corpus, num_tokens=6)
    assert not (tmp_path / "x").exists()


def test_bad_input_leaves_nothing(encoder: str, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "x").write_text("x")
    with pytest.raises(OutputError, match="not an empty folder"):
        trim_vocabulary(encoder, full, languages="en")
    with pytest.raises(ModelLoadError, match="is not a model folder"):
        trim_vocabulary(full, tmp_path / "y", languages="en")
    with pytest.raises(ConfigError, match="say what to keep"):
        trim_vocabulary(encoder, tmp_path / "y")
    with pytest.raises(ConfigError, match="languages must be"):
        trim_vocabulary(encoder, tmp_path / "y", languages="en,tlh")
    (full / "config.json").write_text('{"vocab_size": 3}')
    (full / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ModelLoadError, match="pickled"):
        trim_vocabulary(full, tmp_path / "y", languages="en")
    (full / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelLoadError, match="merge it"):
        trim_vocabulary(full, tmp_path / "y", languages="en")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]
