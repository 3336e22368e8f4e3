from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.conftest import NEGATIVE, POSITIVE
from tests.training.test_trainer import arguments
from tests.transfer.batches import make_batch
from xlingual import TransferTrainer
from xlingual.data.bitext import Bitext, read_bitext
from xlingual.errors import ConfigError, DataError
from xlingual.transfer.loss.bitext_contrast import BitextContrastLoss, encode_pairs

PAIRS = POSITIVE + NEGATIVE
INPUTS = {"input_ids": torch.zeros(1, 1)}


@pytest.fixture
def pairs(tokenizer):
    english, chinese = map(list, zip(*PAIRS, strict=True))
    return encode_pairs(Bitext("pairs", english, chinese), tokenizer=tokenizer)


def test_against_numpy(pairs):
    loss = BitextContrastLoss(pairs, weight=2.0, step_share=1.0, num_pairs=5)
    assert len(loss.extra_rows(INPUTS, step=0)["input_ids"]) == 10
    features = torch.randn(10, 4, requires_grad=True)
    batch = make_batch(extra_features=features)
    x, y = features.detach().double().numpy().reshape(2, 5, 4)
    s = (x @ y.T) / np.outer(np.linalg.norm(x, axis=1), np.linalg.norm(y, axis=1)) / 0.05
    there = np.diag(s) - np.log(np.exp(s).sum(1))
    back = np.diag(s) - np.log(np.exp(s).sum(0))
    value = loss(batch)
    assert value.item() == pytest.approx(-2 * (there + back).sum() / 10, rel=1e-4)
    value.backward()
    assert batch.logits.grad is None
    assert batch.features.grad is None
    assert (features.grad.abs().sum(dim=1) > 0).all(), "both languages move"


def test_rows_are_translations_padded_and_masked(pairs, tokenizer):
    loss = BitextContrastLoss(pairs, step_share=1.0, num_pairs=4)
    rows = loss.extra_rows(INPUTS, step=7)
    assert rows.keys() == {"input_ids", "attention_mask"}
    texts = tokenizer.batch_decode(rows["input_ids"], skip_special_tokens=True)
    expected = {}
    for english, chinese in PAIRS:
        ids = tokenizer([english, chinese])["input_ids"]
        decoded = tokenizer.batch_decode(ids, skip_special_tokens=True)
        expected[decoded[0]] = decoded[1]
    assert [expected[text] for text in texts[:4]] == texts[4:]
    lengths = rows["attention_mask"].sum(dim=1)
    assert lengths.max() == rows["input_ids"].shape[1]
    assert ((rows["input_ids"] != tokenizer.pad_token_id) == rows["attention_mask"].bool()).all()


def test_steps_and_pairs_depend_on_the_step_alone(pairs):
    def drawn(seed: int) -> list:
        torch.rand(3)
        loss = BitextContrastLoss(pairs, step_share=0.15, num_pairs=3, seed=seed)
        rows = [loss.extra_rows(INPUTS, step=step) for step in range(600)]
        return [None if row is None else row["input_ids"].tolist() for row in rows]

    first = drawn(0)
    assert first == drawn(0)
    assert first != drawn(1)
    taken = [rows for rows in first if rows is not None]
    assert len(taken) == pytest.approx(90, abs=25)
    assert len({str(rows) for rows in taken}) > 60, "the pairs change from step to step"


def test_other_steps_cost_nothing(pairs):
    assert BitextContrastLoss(pairs)(make_batch()).item() == 0


def test_equal_sentences_are_no_negatives(tokenizer):
    bitext = Bitext("b", ["a clean room", "a tidy room", "bad"], ["房间干净", "房间干净", "很脏"])
    loss = BitextContrastLoss(encode_pairs(bitext, tokenizer=tokenizer), step_share=1.0)
    assert loss.num_pairs == 3, "all there are"
    loss.extra_rows(INPUTS, step=0)
    order = [loss.pairs.target_keys[i] for i in loss._chosen]
    vectors = torch.eye(3)[order]
    value = loss(make_batch(extra_features=torch.cat([vectors, vectors])))
    assert value.item() < 1e-6, "two equal translations would cost the logarithm of two"


def test_it_aligns_what_it_is_given(tmp_path, encoder, english, pairs, chinese):
    def agreement(weight: float) -> float:
        loss = BitextContrastLoss(pairs, weight=weight, step_share=0.5, num_pairs=12)
        args = arguments(tmp_path, num_train_epochs=12, learning_rate=3e-3)
        trainer = TransferTrainer(encoder, args, train_dataset=english, transfer_loss=loss)
        trainer.train()
        found = trainer.predict_labels(chinese)
        return float((found.predictions == found.references).mean())

    assert agreement(1.0) > agreement(0.0)
    assert agreement(1.0) > 0.9


def test_a_file_in_the_wrong_direction_is_refused(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"{zh}\t{en}\n" for en, zh in PAIRS), encoding="utf-8")
    with pytest.raises(DataError, match="expected English in the first column"):
        read_bitext(path)


def test_one_pair_is_not_enough(tokenizer):
    with pytest.raises(DataError, match="two different sentence pairs; 'one' has 1"):
        encode_pairs(Bitext("one", ["good"] * 2, ["好"] * 2), tokenizer=tokenizer)


@pytest.mark.parametrize("settings", [{"step_share": 0.0}, {"step_share": 2.0}, {"num_pairs": 1}])
def test_bad_settings(pairs, settings):
    with pytest.raises(ConfigError, match="bitext contrast needs"):
        BitextContrastLoss(pairs, **settings)
