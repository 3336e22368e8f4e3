"""Trimmed models cut text as before and answer as before, for every kind of tokenizer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    ModernBertConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
    XLMRobertaConfig,
    pipeline,
)

from xlingual.errors import ConfigError, ModelLoadError, OutputError
from xlingual.vocabulary import trim_vocabulary

TEXTS = [
    "The room was clean and quiet, we loved the breakfast.",
    "房间干净又安静，我们很喜欢早餐。",
    "這家飯店的房間很乾淨，早餐也不錯。",
    "WiFi很快，check in只要5分钟！",
    "Slow service, the shower broke on the 2nd day.",
]
FOREIGN = [
    "Номер был чистый и тихий, завтрак понравился.",
    "ห้องสะอาดและเงียบมาก อาหารเช้าดี",
    "كانت الغرفة نظيفة وهادئة والفطور جيد",
]
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
KINDS = ("WordPiece", "Unigram", "BPE", "byte-level BPE", "BPE with byte fallback")


def _trained(kind: str) -> Tokenizer:
    common = {"special_tokens": SPECIALS, "show_progress": False}
    if kind == "WordPiece":
        inner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(vocab_size=500, min_frequency=1, **common)
    elif kind == "Unigram":
        inner = Tokenizer(models.Unigram())
        inner.normalizer = normalizers.NFKC()
        inner.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=400, unk_token="[UNK]", **common)
    elif kind == "byte-level BPE":
        inner = Tokenizer(models.BPE())
        inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        inner.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, **common)
    else:
        byte_fallback = kind.endswith("fallback")
        inner = Tokenizer(models.BPE(unk_token="[UNK]", byte_fallback=byte_fallback))
        inner.pre_tokenizer = pre_tokenizers.Metaspace()
        if byte_fallback:
            common["special_tokens"] = [*SPECIALS, *(f"<0x{byte:02X}>" for byte in range(256))]
        trainer = trainers.BpeTrainer(vocab_size=700, **common)
    inner.train_from_iterator((TEXTS + FOREIGN) * 4, trainer)
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return inner


def _config(kind: str, size: int):
    shape = {
        "vocab_size": size, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 48, "max_position_embeddings": 130, "pad_token_id": 0,
        "bos_token_id": 2, "eos_token_id": 3, "id2label": {0: "差评", 1: "好评"},
    }  # fmt: skip
    if kind == "WordPiece":
        return BertConfig(**shape)
    if kind == "Unigram":
        return XLMRobertaConfig(**shape)
    if kind == "BPE":
        return ModernBertConfig(**shape, cls_token_id=2, sep_token_id=3)
    return RobertaConfig(**shape)


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def folders(kind: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    names = dict(zip(("pad", "unk", "cls", "sep", "mask"), SPECIALS, strict=True))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_trained(kind), **{f"{role}_token": name for role, name in names.items()}
    )
    found = {}
    for head, auto in (
        ("lm", AutoModelForMaskedLM),
        ("labels", AutoModelForSequenceClassification),
    ):
        found[head] = tmp_path_factory.mktemp(head)
        torch.manual_seed(1)
        auto.from_config(_config(kind, len(tokenizer))).save_pretrained(found[head])
        tokenizer.save_pretrained(found[head])
    (found["labels"] / "calibration.json").write_text('{"calibration_temperature": 1.4}')
    return found


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
    old, new = (auto.from_pretrained(folder).eval() for folder in (folders[head], output))
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
            expected = old(**before(text, return_tensors="pt")).logits
            logits = new(**after(text, return_tensors="pt")).logits
        if head == "lm":
            expected = expected[..., columns]
        torch.testing.assert_close(logits, expected, rtol=0, atol=1e-6)


def test_languages_drop_other_scripts(folders: dict[str, Path], kind: str, by_language) -> None:
    before, after = by_language
    for text in TEXTS:
        assert before.tokenize(text) == after.tokenize(text)
    assert len(after) < len(before)
    if "byte-level" not in kind:
        assert not any("\u0400" <= c < "\u0e80" for token in after.get_vocab() for c in token)


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
    with pytest.raises(OutputError, match="not empty"):
        trim_vocabulary(encoder, full, languages="en")
    with pytest.raises(ModelLoadError, match="no model"):
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
