"""The encoder that ships: its size, its card, and that it knows a translation when it sees one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

import xlingual
from xlingual.pretraining import Bitext, embed_sentences, retrieval_accuracy

FOLDER = Path(xlingual.embedded_encoder())
PAIRS = [
    ("The bus to the airport leaves at noon.", "去机场的公共汽车中午出发。"),
    ("My grandmother cooks very well.", "我奶奶做饭做得很好。"),
    ("The doctor gave me some medicine.", "医生给了我一些药。"),
    ("This book is difficult to read.", "这本书很难读。"),
    ("They lost the football match.", "他们输了足球比赛。"),
    ("It has been raining since yesterday.", "从昨天起一直在下雨。"),
]


@pytest.fixture(scope="module")
def shipped() -> tuple[torch.nn.Module, AutoTokenizer]:
    model = AutoModel.from_pretrained(FOLDER, dtype=torch.float32)
    return model, AutoTokenizer.from_pretrained(FOLDER)


def test_it_is_at_most_16_mb_with_its_tokenizer() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 16_000_000


def test_its_card_names_every_licence() -> None:
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    for part in ("CC BY 2.0 FR", "CC BY-SA 4.0", "MIT", "CC0", "BSD-3-Clause", "Apache-2.0"):
        assert part in card
    assert "@@" not in card


def test_it_finds_translations_both_ways(shipped: tuple) -> None:
    english, chinese = zip(*PAIRS, strict=True)
    found = retrieval_accuracy(*shipped, Bitext("pairs", list(english), list(chinese)))
    assert found == {"en_to_zh": 1.0, "zh_to_en": 1.0}


def test_both_chinese_scripts_read_alike(shipped: tuple) -> None:
    simplified, traditional = embed_sentences(*shipped, ["房间很干净", "房間很乾淨"])
    np.testing.assert_allclose(simplified, traditional, atol=1e-6)
