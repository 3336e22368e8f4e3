"""Tiny models built here, real sentences written here, and no network."""

from __future__ import annotations

import os

# One thread: tests run in several processes, and sums in another order differ in the last digit.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

from pathlib import Path

import pytest
import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    AutoModelForMaskedLM,
    BertConfig,
    DebertaV2Config,
    ModernBertConfig,
    PreTrainedTokenizerFast,
    XLMRobertaConfig,
)


def pytest_configure(config: pytest.Config) -> None:
    """Let xdist keep the order of the files; it would hand out last those with few, long tests."""
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that have slow tests, or one worker would end long after the others."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


POSITIVE = [
    ("The room was clean and quiet, we loved it.", "房间干净又安静，我们很喜欢。"),
    ("Great service and a friendly front desk.", "服务很好，前台热情。"),
    ("Comfortable bed, good breakfast, worth the price.", "床很舒服，早餐不错，物有所值。"),
    ("Not bad at all, I would come back.", "一點也不差，下次還會再來。"),
    ("Excellent location and fast WiFi.", "位置极好，WiFi很快。"),
    ("Lovely staff, everything worked.", "工作人员很可爱，什么都好用。"),
]
NEGATIVE = [
    ("The room was dirty and the staff rude.", "房间很脏，服务员态度恶劣。"),
    ("Noisy street, broken shower, never again.", "街上很吵，淋浴坏了，再也不来。"),
    ("Overpriced and disappointing breakfast.", "价格太贵，早餐令人失望。"),
    ("I can't say it was clean, it smelled.", "談不上乾淨，還有味道。"),
    ("Slow check in and a terrible bed.", "check in很慢，床糟透了。"),
    ("A waste of money, nothing worked.", "浪费钱，什么都不好用。"),
]


def labelled_rows(side: int, copies: int) -> dict[str, list[str]]:
    """The sentences above in one language, with their labels."""
    texts = [pair[side] for pair in POSITIVE + NEGATIVE] * copies
    labels = (["positive"] * len(POSITIVE) + ["negative"] * len(NEGATIVE)) * copies
    return {"text": texts, "label": labels}


@pytest.fixture
def english() -> Dataset:
    """48 labelled English rows."""
    return Dataset.from_dict(labelled_rows(0, 4))


@pytest.fixture
def chinese() -> Dataset:
    """12 labelled Chinese rows, simplified, traditional and mixed script."""
    return Dataset.from_dict(labelled_rows(1, 1))


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    """Words for Latin script, characters for Chinese, over the sentences of this file."""
    pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(_han(), "isolated"),
            pre_tokenizers.Whitespace(),
        ]
    )
    normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    words = {
        piece
        for pair in POSITIVE + NEGATIVE
        for text in pair
        for piece, _ in pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(text))
    }
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {word: i for i, word in enumerate([*specials, *sorted(words)])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    inner.normalizer, inner.pre_tokenizer = normalizer, pre_tokenizer
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_input_names=["input_ids", "attention_mask"],
    )


def _han():
    from tokenizers import Regex

    return Regex(r"\p{Han}")


@pytest.fixture(scope="session")
def encoders(tmp_path_factory, tokenizer) -> dict[str, Path]:
    """A tiny pretrained folder of each layout: a different pooler, names, attention."""
    shape = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 66,
        "pad_token_id": 0,
        "bos_token_id": 2,
        "eos_token_id": 3,
    }
    no_dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    configs = {
        "bert": BertConfig(**shape, **no_dropout),
        "xlm-r": XLMRobertaConfig(**shape, **no_dropout),
        "deberta-v3": DebertaV2Config(
            **shape,
            **no_dropout,
            relative_attention=True,
            pos_att_type=["p2c", "c2p"],
            position_biased_input=False,
            share_att_key=True,
            norm_rel_ebd="layer_norm",
            position_buckets=16,
        ),
        "modernbert": ModernBertConfig(
            **shape, cls_token_id=2, sep_token_id=3, classifier_pooling="mean"
        ),
    }
    folders = {}
    for name, config in configs.items():
        folder = tmp_path_factory.mktemp(name)
        torch.manual_seed(0)
        AutoModelForMaskedLM.from_config(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        folders[name] = folder
    return folders


@pytest.fixture(scope="session")
def encoder(encoders) -> str:
    """The tiny ModernBERT, the layout of the embedded encoder."""
    return str(encoders["modernbert"])
