from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax

from tests.training.test_trainer import arguments
from tests.transfer.batches import NUM_LABELS, make_batch
from xlingual import TransferTrainer
from xlingual.errors import ConfigError
from xlingual.transfer.loss.r_drop import RDropLoss

SECOND = 2 * torch.randn(9, NUM_LABELS, generator=torch.Generator().manual_seed(9))
INPUTS = {
    "input_ids": torch.arange(2000).reshape(40, 50),
    "attention_mask": torch.ones(40, 50, dtype=torch.long),
    "labels": torch.zeros(40),
    "domain": torch.zeros(40),
    "view_input_ids": torch.zeros(40, 3),
}
INPUTS["attention_mask"][:, :4] = 0  # padded on the left


def test_against_numpy():
    batch = make_batch(extra_logits=SECOND)
    p, q = (softmax(x.detach().double().numpy(), axis=1) for x in (batch.logits, SECOND))
    expected = ((p * np.log(p / q)).sum(1) + (q * np.log(q / p)).sum(1)).mean() / 2
    assert RDropLoss(weight=3.0)(batch).item() == pytest.approx(3 * expected, rel=1e-4)


def test_several_labels_against_numpy():
    batch = make_batch(extra_logits=SECOND, labels=torch.zeros(9, NUM_LABELS))
    p, q = (expit(x.detach().double().numpy()) for x in (batch.logits, SECOND))

    def divergence(a, b):
        return (a * np.log(a / b) + (1 - a) * np.log((1 - a) / (1 - b))).mean(1)

    expected = (divergence(p, q) + divergence(q, p)).mean() / 2
    assert RDropLoss()(batch).item() == pytest.approx(expected, rel=1e-4)


def test_both_passes_learn_from_each_other():
    second = SECOND.clone().requires_grad_()
    batch = make_batch(extra_logits=second)
    RDropLoss()(batch).backward()
    assert (batch.logits.grad.abs().sum(dim=1) > 0).all()
    assert (second.grad.abs().sum(dim=1) > 0).all()
    assert batch.features.grad is None


def test_the_second_pass_reads_the_same_rows():
    rows = RDropLoss().extra_rows(INPUTS, step=0)
    assert rows.keys() == {"input_ids", "attention_mask"}
    assert rows["input_ids"] is INPUTS["input_ids"]
    assert rows["attention_mask"].equal(INPUTS["attention_mask"])


def test_cutoff_hides_a_share_of_the_tokens_by_the_step_alone():
    loss = RDropLoss(token_cutoff=0.2)
    mask = INPUTS["attention_mask"].clone()
    first = loss.extra_rows(INPUTS, step=3)["attention_mask"]
    torch.rand(7)  # other randomness of the run does not matter
    assert first.equal(RDropLoss(token_cutoff=0.2).extra_rows(INPUTS, step=3)["attention_mask"])
    assert not first.equal(loss.extra_rows(INPUTS, step=4)["attention_mask"])
    assert not first.equal(
        RDropLoss(token_cutoff=0.2, seed=1).extra_rows(INPUTS, step=3)["attention_mask"]
    )
    assert INPUTS["attention_mask"].equal(mask), "the batch itself stays whole"
    assert first[:, :4].sum() == 0
    assert first[:, 4].all(), "the first token is never hidden"
    assert first[:, 5:].float().mean().item() == pytest.approx(0.8, abs=0.03)


def test_without_noise_it_says_so_once(caplog):
    loss, batch = RDropLoss(), make_batch()
    equal = make_batch(extra_logits=batch.logits.detach())
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert loss(equal).item() == pytest.approx(0, abs=1e-9)
        assert not caplog.records
        for _ in range(5):
            loss(equal)
    assert [record.message for record in caplog.records] == [
        "R-Drop does nothing: both passes predict the same, so the model seems to have no dropout; "
        "load it with dropout, or give RDropLoss(token_cutoff=0.1)"
    ]
    caplog.clear()
    noisy = RDropLoss()
    noisy(make_batch(extra_logits=SECOND))
    for _ in range(5):
        noisy(equal)
    assert not caplog.records


@pytest.mark.parametrize(("cutoff", "warns"), [(0.0, True), (0.3, False)])
def test_in_a_run_without_dropout(tmp_path, encoder, english, caplog, cutoff, warns):
    trainer = TransferTrainer(
        encoder,
        arguments(tmp_path, max_steps=4),
        train_dataset=english,
        transfer_loss=RDropLoss(token_cutoff=cutoff),
    )
    with caplog.at_level(logging.WARNING, logger="xlingual"):
        trainer.train()
    assert ("R-Drop does nothing" in caplog.text) is warns


def test_a_run_with_dropout_does_not_warn(tmp_path, encoder, english, caplog):
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(
        encoder, classifier_dropout=0.3, id2label={0: "negative", 1: "positive"}
    )
    trainer = TransferTrainer(
        model, arguments(tmp_path, max_steps=4), train_dataset=english, transfer_loss=RDropLoss()
    )
    with caplog.at_level(logging.WARNING, logger="xlingual"):
        trainer.train()
    assert "R-Drop" not in caplog.text


@pytest.mark.parametrize("settings", [{"weight": -1.0}, {"token_cutoff": 1.0}])
def test_bad_settings(settings):
    with pytest.raises(ConfigError, match="R-Drop needs"):
        RDropLoss(**settings)
