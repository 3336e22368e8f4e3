"""Other layouts than one file with a tied decoder, and the classes of transformers themselves."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import AddedToken
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertTokenizer,
    PreTrainedTokenizerBase,
    RobertaTokenizer,
    XLMRobertaConfig,
    XLMRobertaTokenizer,
)

from tests.vocabulary.tiny_tokenizers import FOREIGN, SPECIALS, TEXTS, config_of, fast, trained
from xlingual import TransferArguments, TransferTrainer
from xlingual.errors import ModelLoadError
from xlingual.vocabulary import trim_vocabulary

NAMES = ("<s>", "<pad>", "</s>", "<unk>")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(TEXTS), encoding="utf-8")
    return path


def states(folder: Path, texts: list[str], auto: Any = AutoModel) -> list[torch.Tensor]:
    """Compare the pieces and the model's outputs, text by text."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = copy.deepcopy(auto.from_pretrained(folder)).eval()
    with torch.no_grad():
        return [
            model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states[
                -1
            ]
            for text in texts
        ]


def assert_same(before: Path, after: Path, texts: list[str], auto: Any = AutoModel) -> None:
    old, new = (AutoTokenizer.from_pretrained(folder) for folder in (before, after))
    assert [old.tokenize(text) for text in texts] == [new.tokenize(text) for text in texts]
    assert len(new) < len(old)
    pairs = zip(states(before, texts, auto), states(after, texts, auto), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)


def unigram_vocabulary(*first: str) -> list[tuple[str, float]]:
    pieces = json.loads(trained("Unigram").to_str())["model"]["vocab"]
    rest = [(piece, score) for piece, score in pieces if piece not in SPECIALS]
    return [*((name, 0.0) for name in first), *rest, ("<mask>", 0.0)]


def class_of_its_own(name: str) -> PreTrainedTokenizerBase:
    """Tokenizers that transformers 5 rebuilds when it loads them, by rules in their class."""
    if name == "bert":
        return BertTokenizer(vocab=trained("WordPiece").get_vocab(), do_lower_case=False)
    if name == "xlm-roberta":
        return XLMRobertaTokenizer(vocab=unigram_vocabulary(*NAMES))
    model = json.loads(trained("byte-level BPE").to_str())["model"]
    tokens = [*NAMES, *(token for token in model["vocab"] if token not in SPECIALS), "<mask>"]
    merges = [tuple(merge) for merge in model["merges"]]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    return RobertaTokenizer(vocab=vocabulary, merges=merges)


@pytest.mark.parametrize("name", ["bert", "xlm-roberta", "roberta"])
@pytest.mark.parametrize("by", ["languages", "corpus"])
def test_tokenizer_classes(tmp_path: Path, corpus: Path, name: str, by: str) -> None:
    tokenizer, folder = class_of_its_own(name), tmp_path / "model"
    kind = {"bert": "WordPiece", "xlm-roberta": "Unigram", "roberta": "RoBERTa"}[name]
    config = config_of(kind, len(tokenizer))
    config.update(
        {f"{role}_token_id": getattr(tokenizer, f"{role}_token_id") for role in ("pad", "mask")}
    )
    AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    kept = {"corpus": corpus} if by == "corpus" else {"languages": "en,zh"}
    trim_vocabulary(folder, tmp_path / "small", **kept)
    assert type(AutoTokenizer.from_pretrained(tmp_path / "small")) is type(tokenizer)
    assert_same(folder, tmp_path / "small", TEXTS)


def test_positions_that_count_from_the_padding_token(tmp_path: Path, corpus: Path) -> None:
    # Tokens before <pad> that nobody uses: without them it would move, and all positions with it.
    spec = json.loads(trained("Unigram").to_str())
    spec["model"]["vocab"] = [("<s>NOTUSED", -50.0), ("Ж9", -49.0), *spec["model"]["vocab"]]
    spec["model"]["unk_id"] += 2
    for token in spec["added_tokens"]:
        token["id"] += 2
    for special in spec["post_processor"]["special_tokens"].values():
        special["ids"] = [number + 2 for number in special["ids"]]
    tokenizer = fast(type(trained("BPE")).from_str(json.dumps(spec)))
    folder = tmp_path / "model"
    config = config_of("Unigram", len(tokenizer))
    config.pad_token_id = tokenizer.pad_token_id
    assert config.pad_token_id == 2
    AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    trim_vocabulary(folder, tmp_path / "small", corpus=corpus)
    assert_same(folder, tmp_path / "small", TEXTS)


def test_a_piece_that_stands_twice(tmp_path: Path, corpus: Path) -> None:
    spec = json.loads(trained("Unigram").to_str())
    piece, score = next(entry for entry in spec["model"]["vocab"] if entry[0].endswith("e"))
    spec["model"]["vocab"].append((piece, score - 0.1))
    tokenizer = fast(type(trained("BPE")).from_str(json.dumps(spec)))
    folder = tmp_path / "model"
    config = config_of("Unigram", len(spec["model"]["vocab"]))
    AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    trim_vocabulary(folder, tmp_path / "small", corpus=corpus, keep_tokens=[piece])
    assert_same(folder, tmp_path / "small", TEXTS)


def test_added_tokens_are_kept_with_their_rows(tmp_path: Path, corpus: Path) -> None:
    tokenizer, folder = fast(trained("WordPiece")), tmp_path / "model"
    tokenizer.add_tokens(
        [AddedToken("酒店名", normalized=False), AddedToken("<url>", special=True)]
    )
    AutoModel.from_config(config_of("WordPiece", len(tokenizer))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    texts = ["酒店名的房间很干净", "房间<url>干净"]
    corpus.write_text("\n".join([*TEXTS, "的房间很干净", *texts[1:]]), encoding="utf-8")
    trim_vocabulary(folder, tmp_path / "small", corpus=corpus)
    assert_same(folder, tmp_path / "small", texts)
    assert "酒店名" in AutoTokenizer.from_pretrained(tmp_path / "small").tokenize(texts[0])


def model_of_words(
    folder: Path, tokenizer: PreTrainedTokenizerBase, auto: Any, **settings: Any
) -> Path:
    shape = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = BertConfig(
        vocab_size=len(tokenizer), intermediate_size=48, max_position_embeddings=66, **shape
    )
    config.tie_word_embeddings = settings.pop("tie_word_embeddings", True)
    torch.manual_seed(3)
    auto.from_config(config).save_pretrained(folder, **settings)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def words() -> PreTrainedTokenizerBase:
    return fast(trained("WordPiece"))


def test_bare_encoder(tmp_path: Path, words: PreTrainedTokenizerBase) -> None:
    folder = model_of_words(tmp_path / "model", words, AutoModel)
    trim_vocabulary(folder, tmp_path / "small", languages=["en", "zh"])
    assert_same(folder, tmp_path / "small", TEXTS)
    weights = [place / "model.safetensors" for place in (folder, tmp_path / "small")]
    assert len({path.stat().st_mode for path in weights}) == 1
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "small")
    assert model.config.vocab_size == model.get_input_embeddings().weight.shape[0] < len(words)


def test_untied_decoder(tmp_path: Path, corpus: Path, words: PreTrainedTokenizerBase) -> None:
    folder = model_of_words(
        tmp_path / "model", words, AutoModelForMaskedLM, tie_word_embeddings=False
    )
    trim_vocabulary(folder, tmp_path / "small", corpus=corpus)
    assert_same(folder, tmp_path / "small", TEXTS, AutoModelForMaskedLM)
    small = AutoTokenizer.from_pretrained(tmp_path / "small")
    rows = words.convert_tokens_to_ids(small.convert_ids_to_tokens(range(len(small))))
    before, after = (
        load_file(place / "model.safetensors") for place in (folder, tmp_path / "small")
    )
    changed = {name for name in before if before[name].shape != after[name].shape}
    assert changed >= {
        "bert.embeddings.word_embeddings.weight",
        "cls.predictions.decoder.weight",
    }
    assert all(torch.equal(before[name][rows], after[name]) for name in changed)
    assert not torch.equal(*(after[name] for name in sorted(changed) if name.endswith("weight")))


def test_shards(tmp_path: Path, corpus: Path, words: PreTrainedTokenizerBase) -> None:
    folder = model_of_words(tmp_path / "model", words, AutoModelForMaskedLM, max_shard_size="30KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    report = trim_vocabulary(folder, tmp_path / "small", corpus=corpus)
    assert_same(folder, tmp_path / "small", TEXTS, AutoModelForMaskedLM)
    index = json.loads((tmp_path / "small" / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_parameters"] == report.parameters_after
    assert {file.name for file in (tmp_path / "small").glob("*.safetensors")} == set(
        index["weight_map"].values()
    )


@pytest.mark.slow
def test_the_trainer_fine_tunes_it(tmp_path: Path, encoder: str, english, chinese) -> None:
    corpus = tmp_path / "corpus.jsonl"
    rows = [{"text": text} for text in [*english["text"], *chinese["text"]]]
    corpus.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    small = tmp_path / "small"
    trim_vocabulary(encoder, small, corpus=corpus)
    args = TransferArguments(
        output_dir=str(tmp_path / "run"), max_steps=2, precision="fp32", save_strategy="no",
        per_device_train_batch_size=4, disable_tqdm=True, freeze_embeddings=False,
    )  # fmt: skip
    trainer = TransferTrainer(str(small), args, train_dataset=english, eval_dataset={"zh": chinese})
    before = trainer.model.get_input_embeddings().weight.detach().clone()
    assert trainer.train().training_loss > 0
    assert not torch.equal(before, trainer.model.get_input_embeddings().weight)
    report = trainer.evaluate_transfer(source={"en": english}, targets={"zh": chinese})
    assert 0 <= report.results()["eval_zh_accuracy"] <= 1


def test_tokens_that_stand_before_the_models_own(tmp_path: Path, corpus: Path) -> None:
    # A vocabulary with holes, and an added token in one of them: ids change their order.
    tokenizer = fast(trained("WordPiece"))
    spec = json.loads(tokenizer.backend_tokenizer.to_str())
    last = max(spec["model"]["vocab"], key=spec["model"]["vocab"].__getitem__)
    spec["model"]["vocab"][last] += 50
    tokenizer = fast(type(tokenizer.backend_tokenizer).from_str(json.dumps(spec)))
    tokenizer.add_tokens(["酒店名"])
    vocabulary = tokenizer.get_vocab()
    assert vocabulary["酒店名"] < vocabulary[last]
    folder = tmp_path / "model"
    config = config_of("WordPiece", vocabulary[last] + 1)
    AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    trim_vocabulary(folder, tmp_path / "small", corpus=corpus, keep_tokens=[last])
    texts = [*TEXTS, "酒店名"]
    pairs = zip(states(folder, texts), states(tmp_path / "small", texts), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)


def test_a_model_with_fewer_rows_than_tokens(
    tmp_path: Path, words: PreTrainedTokenizerBase
) -> None:
    folder = tmp_path / "model"
    config = XLMRobertaConfig(
        vocab_size=len(words) - 9, hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=48, max_position_embeddings=66, pad_token_id=0,
    )  # fmt: skip
    AutoModel.from_config(config).save_pretrained(folder)
    words.save_pretrained(folder)
    (tmp_path / "all.txt").write_text("\n".join(TEXTS + FOREIGN), encoding="utf-8")
    with pytest.raises(ModelLoadError, match="resize the embeddings"):
        trim_vocabulary(folder, tmp_path / "small", corpus=tmp_path / "all.txt")
    assert not (tmp_path / "small").exists()
