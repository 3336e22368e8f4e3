"""Tiny decoders, with a tokenizer that has no padding token."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders as token_decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    GemmaConfig,
    GPT2Config,
    LlamaConfig,
    OPTConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)

DECODERS = ("qwen2", "qwen3", "llama", "gpt2", "gemma", "gemma3", "opt")
END = "<|endoftext|>"


@pytest.fixture
def byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token per byte, no special tokens, padding on the left: as for generation."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {piece: place for place, piece in enumerate([*letters, END])}
    inner = Tokenizer(models.BPE(vocabulary, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = token_decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        eos_token=END,
        padding_side="left",
        model_input_names=["input_ids", "attention_mask"],
    )


@pytest.fixture
def decoder(request, tmp_path, byte_tokenizer) -> str:
    """A folder of the layout that the test names, weights large enough to tell texts apart."""
    ids = {"vocab_size": 257, "pad_token_id": None, "bos_token_id": 256, "eos_token_id": 256}
    shape = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 100,
        "initializer_range": 0.2,
    }
    rotary = {"num_key_value_heads": 1, "head_dim": 16, "intermediate_size": 64}
    no_dropout = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    config = {
        "qwen2": lambda: Qwen2Config(**ids, **shape, **rotary),
        "qwen3": lambda: Qwen3Config(**ids, **shape, **rotary),
        "llama": lambda: LlamaConfig(**ids, **shape, **rotary),
        "gpt2": lambda: GPT2Config(**ids, **shape, **no_dropout),
        "gemma": lambda: GemmaConfig(**ids, **shape, **rotary),
        "gemma3": lambda: Gemma3TextConfig(**ids, **shape, **rotary),
        "opt": lambda: OPTConfig(**ids, **shape, ffn_dim=64, word_embed_proj_dim=32, dropout=0.0),
    }[request.param]()
    torch.manual_seed(0)
    folder: Path = tmp_path / request.param
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    byte_tokenizer.save_pretrained(folder)
    return str(folder)
