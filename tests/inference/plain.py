"""The labels and texts of these tests, and the predictions of transformers alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from transformers import (
    AutoTokenizer,
)

from tests.conftest import NEGATIVE, POSITIVE

LABELS = ("差评", "好评", "neutral")
TEXTS = [text for pair in POSITIVE + NEGATIVE for text in pair]


def write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def logits_of(folder: Path, *texts: list[str], name: str = "Sequence") -> np.ndarray:
    """The plain way: transformers alone, one text at a time."""
    auto_class = getattr(__import__("transformers"), f"AutoModelFor{name}Classification")
    model = auto_class.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        rows = zip(*texts, strict=True)
        outputs = [model(**tokenizer(*row, return_tensors="pt")).logits[0] for row in rows]
    return torch.stack(outputs).numpy()
