from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

from tests.conftest import NEGATIVE, POSITIVE
from xlingual.errors import DataError, ModelLoadError
from xlingual.transfer.loop.continued_pretraining import (
    WholeWordCollator,
    continue_pretraining,
    word_numbers,
)

TEXTS = [text for pair in POSITIVE + NEGATIVE for text in pair]


def characters(text: str) -> list[tuple[int, int]]:
    return [(i, i + 1) for i in range(len(text)) if not text[i].isspace()]


def test_words_of_jieba():
    pytest.importorskip("jieba")
    text = "房间干净，check in很慢"
    numbers = word_numbers(text, characters(text), [0] * len(characters(text)))
    words: dict[int, str] = {}
    for number, (begin, end) in zip(numbers, characters(text), strict=False):
        words[number] = words.get(number, "") + text[begin:end]
    assert list(words.values())[:3] == ["房间", "干净", "，"]
    assert "check" in words.values()


def test_words_without_jieba(monkeypatch):
    monkeypatch.setattr("xlingual.transfer.loop.continued_pretraining._has_jieba", lambda: False)
    text = "很好 good stuff好"
    offsets = [(0, 1), (1, 2), (2, 5), (5, 7), (7, 13), (13, 14), (0, 0)]
    numbers = word_numbers(text, offsets, [0, 0, 0, 0, 0, 0, 1])
    assert numbers[2] == numbers[3], "the pieces of one English word are one word"
    assert len({numbers[i] for i in (0, 1, 2, 4, 5)}) == 5
    assert numbers[6] == -1


def test_whole_words_are_masked_at_the_share(encoder):
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    collator = WholeWordCollator(tokenizer, masked_share=0.3)
    torch.manual_seed(0)
    rows = [{"input_ids": [2, *range(5, 25), 3], "words": [-1, *[i // 2 for i in range(20)], -1]}]
    rows.append({"input_ids": [2, 7, 3], "words": [-1, 0, -1]})
    for _ in range(20):
        batch = collator(rows)
        chosen = batch["labels"] != -100
        assert chosen[0].sum() == 6
        pairs = chosen[0][1:21].reshape(10, 2)
        assert (pairs[:, 0] == pairs[:, 1]).all()
        assert not chosen[0, 0]
        assert not chosen[0, 21]
        assert chosen[1].tolist()[:3] == [False, True, False]
        assert batch["attention_mask"][1].sum() == 3
        kept = ~chosen[0] & (batch["attention_mask"][0] == 1)
        assert batch["input_ids"][0][kept].tolist() == [
            x for x, k in zip(rows[0]["input_ids"], kept.tolist(), strict=True) if k
        ]


def test_it_learns_the_text_and_loads_for_fine_tuning(tmp_path, encoder):
    folder = continue_pretraining(
        encoder, TEXTS * 4, output_dir=tmp_path / "more", num_train_epochs=6, learning_rate=3e-3
    )
    before = AutoModelForMaskedLM.from_pretrained(encoder)
    after = AutoModelForMaskedLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    batch = tokenizer(TEXTS, return_tensors="pt", padding=True)
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    with torch.no_grad():
        assert after(**batch, labels=labels).loss < before(**batch, labels=labels).loss


def test_killed_and_resumed(tmp_path, encoder, monkeypatch):
    usual = {"num_train_epochs": 3, "learning_rate": 1e-3, "batch_size": 8}
    whole = continue_pretraining(encoder, TEXTS, output_dir=tmp_path / "whole", **usual)

    from transformers import Trainer

    epochs = []
    original = Trainer._save_checkpoint

    def killed(self, *args, **kwargs):
        original(self, *args, **kwargs)
        epochs.append(1)
        if len(epochs) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "_save_checkpoint", killed)
    with pytest.raises(KeyboardInterrupt):
        continue_pretraining(encoder, TEXTS, output_dir=tmp_path / "part", **usual)
    monkeypatch.undo()
    part = continue_pretraining(encoder, TEXTS, output_dir=tmp_path / "part", **usual)
    ends = [AutoModelForMaskedLM.from_pretrained(folder).state_dict() for folder in (whole, part)]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_what_cannot_be_continued(tmp_path, encoder):
    with pytest.raises(DataError, match="needs text"):
        continue_pretraining(encoder, ["", "  "], output_dir=tmp_path)
    with pytest.raises(ModelLoadError):
        continue_pretraining(str(tmp_path / "nothing"), TEXTS, output_dir=tmp_path)
