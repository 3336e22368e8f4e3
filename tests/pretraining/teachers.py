"""A tiny random teacher with a tokenizer of its own: words in English, characters in Chinese."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from tests.pretraining.conftest import PAIRS

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]


def save_teacher(folder: Path, *, seed: int = 0, reads_chinese: bool = True) -> Path:
    """Write a BERT of two layers of 24 with random weights."""
    tokenizer = _tokenizer(reads_chinese=reads_chinese)
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        pad_token_id=0,
        initializer_range=0.3,  # else all vectors are nearly one
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _tokenizer(*, reads_chinese: bool) -> PreTrainedTokenizerFast:
    split = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(r"\p{Han}"), "isolated"), pre_tokenizers.Whitespace()]
    )
    texts = ["query : ", *(text for pair in PAIRS for text in pair)]
    pieces = sorted({piece for text in texts for piece, _ in split.pre_tokenize_str(text)})
    if not reads_chinese:
        pieces = [piece for piece in pieces if piece.isascii()]
    vocabulary = {piece: number for number, piece in enumerate([*SPECIALS, *pieces])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    inner.pre_tokenizer = split
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_input_names=["input_ids", "attention_mask"],
    )
