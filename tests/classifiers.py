"""Tiny saved classifiers, and tokenizers whose pieces are awkward, for the tests of inference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

SPECIALS = ["<pad>", "<unk>", "<s>", "</s>"]
PEOPLE = "张伟和李娜在北京大学读书，后来去了Acme公司。😀"


def save_classifier(
    encoder: Path | str,
    folder: Path,
    *,
    labels: tuple[str, ...],
    kind: str = "Sequence",
    **config: Any,
) -> Path:
    """A classifier without training whose weights are so large that labels and scores differ."""
    auto_class = getattr(transformers, f"AutoModelFor{kind}Classification")
    torch.manual_seed(1)
    model = auto_class.from_pretrained(
        encoder,
        id2label=dict(enumerate(labels)),
        label2id={name: position for position, name in enumerate(labels)},
        **config,
    )
    enlarge(model)
    model.save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(encoder).save_pretrained(folder)
    return folder


def enlarge(model: torch.nn.Module) -> None:
    """As they are made, the tiny encoders tell hardly one text from another."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2 and parameter.requires_grad:
                parameter.normal_(std=0.3)


def sentencepiece_tokenizer() -> PreTrainedTokenizerFast:
    """Unigram with ``▁``: Chinese has no piece that begins with it, so it stands alone."""
    characters = sorted(set(PEOPLE) - {" "})
    words = ["▁", "▁in", "▁Wash", "ing", "ton", "▁lives", "▁Ann", "北京", "大学", "▁the", "▁,"]
    pieces = [*SPECIALS, *words, *(c for c in characters if c not in words)]
    inner = Tokenizer(
        models.Unigram([(piece, -float(place)) for place, piece in enumerate(pieces)], unk_id=1)
    )
    inner.normalizer = normalizers.NFKC()
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    inner.decoder = decoders.Metaspace()
    return _wrapped(inner)


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """One piece a byte: a Chinese character is three, an emoji four."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {piece: place for place, piece in enumerate([*SPECIALS, *letters])}
    inner = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    return _wrapped(inner)


def _wrapped(inner: Tokenizer) -> PreTrainedTokenizerFast:
    inner.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> $B </s>",
        special_tokens=[("<s>", 2), ("</s>", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="<pad>",
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        model_input_names=["input_ids", "attention_mask"],
    )
