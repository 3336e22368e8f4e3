"""Stage 0: both ways of aligning tokens, and the identity with an encoder of empty layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast

from xlingual.errors import ConfigError
from xlingual.pretraining import (
    EncodedCorpus,
    build_encoder,
    contrastive_embeddings,
    embed_sentences,
    encode_bitexts,
    read_bitext,
    svd_embeddings,
)
from xlingual.pretraining.static import StaticTable


@pytest.fixture(scope="module")
def corpus(bitext_file: Path, tokenizer: PreTrainedTokenizerFast) -> EncodedCorpus:
    return encode_bitexts([read_bitext(bitext_file)], tokenizer)


def _cosine(table: np.ndarray, tokenizer: PreTrainedTokenizerFast, one: str, other: str) -> float:
    a, b = (table[tokenizer.convert_tokens_to_ids(t)] for t in (one, other))
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize("steps", [0, 60])
def test_translations_are_nearer_than_other_words(
    corpus: EncodedCorpus, tokenizer: PreTrainedTokenizerFast, steps: int
) -> None:
    table = svd_embeddings(corpus, vocab_size=len(tokenizer), dim=16)
    if steps:
        table = contrastive_embeddings(corpus, table, steps=steps, batch_size=64)
    right = _cosine(table, tokenizer, "▁hotel", "店")
    wrong = _cosine(table, tokenizer, "▁hotel", "书")
    assert right > max(wrong, 0.0)


def test_stage_0_is_the_same_when_built_again(
    corpus: EncodedCorpus, tokenizer: PreTrainedTokenizerFast
) -> None:
    first, second = (
        contrastive_embeddings(
            corpus, svd_embeddings(corpus, vocab_size=len(tokenizer), dim=16), steps=3
        )
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


def test_an_encoder_of_empty_layers_is_the_static_table(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    table = np.random.default_rng(0).standard_normal((len(tokenizer), 64)).astype(np.float32)
    model = build_encoder(tokenizer, table, num_layers=2, intermediate_size=32)
    text = "I like the hotel."
    ids = torch.tensor([tokenizer(text).input_ids])
    scaled = model.get_input_embeddings().weight.detach()
    static = StaticTable(scaled, norm_eps=1e-5)(ids, torch.full(ids.shape, 1 / ids.numel()))
    expected = torch.nn.functional.normalize(static, dim=-1).detach().numpy()
    np.testing.assert_allclose(embed_sentences(model.model, tokenizer, [text]), expected, atol=1e-5)


def test_more_dimensions_than_tokens(
    corpus: EncodedCorpus, tokenizer: PreTrainedTokenizerFast
) -> None:
    with pytest.raises(ConfigError, match="60 tokens do not give embeddings of width 61"):
        svd_embeddings(corpus, vocab_size=len(tokenizer), dim=61)
