"""Tiny translators with the tokenizers of real ones: Marian for a pair, NLLB for many languages."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import torch
from transformers import (
    M2M100Config,
    M2M100ForConditionalGeneration,
    MarianConfig,
    MarianMTModel,
    MarianTokenizer,
    NllbTokenizer,
)

from tests.conftest import NEGATIVE, POSITIVE

ENGLISH = [pair[0] for pair in POSITIVE + NEGATIVE]
CHINESE = [pair[1] for pair in POSITIVE + NEGATIVE]
_SHAPE = {
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "max_position_embeddings": 64,
    "dropout": 0.0,
}


def is_han(piece: str) -> bool:
    return bool(piece.strip("▁")) and all("一" <= char <= "鿿" for char in piece.strip("▁"))


def sentencepiece_file(path: Path, texts: list[str]) -> list[str]:
    import sentencepiece

    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=written,
        vocab_size=150,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    path.write_bytes(written.getvalue())
    model = sentencepiece.SentencePieceProcessor(model_file=str(path))
    return [model.id_to_piece(i) for i in range(model.get_piece_size())]


def make_marian(folder: Path, *, languages: tuple[str, str] = ("en", "zh")) -> Path:
    """An untrained Marian model that can only write Chinese characters."""
    folder.mkdir()
    source, target = folder / "a.spm", folder / "b.spm"
    pieces = sentencepiece_file(source, ENGLISH) + sentencepiece_file(target, CHINESE)
    specials = ["</s>", "<unk>", ">>cmn_Hans<<"]
    names = [*specials, *sorted(set(pieces) - {"</s>", "<unk>", "<s>"}), "<pad>"]
    vocabulary = {piece: place for place, piece in enumerate(names)}
    path = folder / "vocabulary.json"
    path.write_text(json.dumps(vocabulary), encoding="utf-8")
    tokenizer = MarianTokenizer(
        str(source), str(target), str(path), source_lang=languages[0], target_lang=languages[1]
    )
    pad = vocabulary["<pad>"]
    torch.manual_seed(0)
    model = MarianMTModel(
        MarianConfig(
            **_SHAPE,
            vocab_size=len(names),
            pad_token_id=pad,
            eos_token_id=0,
            bos_token_id=0,
            decoder_start_token_id=pad,
            forced_eos_token_id=0,
        )
    )
    model.final_logits_bias[0] = torch.tensor([0.0 if is_han(n) else -1e4 for n in names])
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def marian(tmp_path_factory) -> Path:
    pytest.importorskip("sentencepiece")
    return make_marian(tmp_path_factory.mktemp("marian") / "en-zh")


@pytest.fixture(scope="session")
def nllb(tmp_path_factory) -> Path:
    """Reads and writes characters; it starts with the requested language."""
    folder = tmp_path_factory.mktemp("nllb")
    characters = sorted(set("".join(ENGLISH + CHINESE)) - {" "})
    names = ["<s>", "<pad>", "</s>", "<unk>", "▁", *characters]
    tokenizer = NllbTokenizer(vocab={piece: place for place, piece in enumerate(names)}, merges=[])
    torch.manual_seed(1)
    model = M2M100ForConditionalGeneration(
        M2M100Config(
            **_SHAPE,
            vocab_size=len(tokenizer),
            pad_token_id=1,
            bos_token_id=0,
            eos_token_id=2,
            decoder_start_token_id=2,
        )
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def m2m(tmp_path_factory) -> Path:
    pytest.importorskip("sentencepiece")
    from transformers import M2M100Tokenizer

    folder = tmp_path_factory.mktemp("m2m")
    pieces = sentencepiece_file(folder / "a.spm", ENGLISH + CHINESE)
    names = ["<s>", "<pad>", "</s>", "<unk>", *sorted(set(pieces) - {"<s>", "</s>", "<unk>"})]
    path = folder / "vocabulary.json"
    path.write_text(json.dumps({n: i for i, n in enumerate(names)}), encoding="utf-8")
    tokenizer = M2M100Tokenizer(str(path), str(folder / "a.spm"))
    torch.manual_seed(1)
    model = M2M100ForConditionalGeneration(
        M2M100Config(
            **_SHAPE,
            vocab_size=max(tokenizer.lang_token_to_id.values()) + 1,
            pad_token_id=1,
            bos_token_id=0,
            eos_token_id=2,
            decoder_start_token_id=2,
        )
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
