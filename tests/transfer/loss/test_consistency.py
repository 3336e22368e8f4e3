from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax

from tests.training.test_trainer import arguments
from tests.transfer.batches import NUM_LABELS, make_batch
from xlingual import TransferTrainer
from xlingual.errors import ConfigError
from xlingual.transfer.loss.consistency import ConsistencyLoss

VIEW = 2 * torch.randn(9, NUM_LABELS, generator=torch.Generator().manual_seed(9))


@pytest.mark.parametrize("threshold", [0.0, 0.7])
def test_against_numpy(threshold):
    batch = make_batch(extra_logits=VIEW)
    p, q = (softmax(x.detach().double().numpy(), axis=1) for x in (batch.logits, VIEW))
    is_sure = p.max(1) >= threshold
    assert threshold == 0 or 0 < is_sure.sum() < 9
    expected = (is_sure * (p * np.log(p / q)).sum(1)).mean()
    loss = ConsistencyLoss(weight=2.0, confidence_threshold=threshold)
    assert loss(batch).item() == pytest.approx(2 * expected, rel=1e-4)


def test_several_labels_against_numpy():
    batch = make_batch(extra_logits=VIEW, labels=torch.zeros(9, NUM_LABELS))
    p, q = (expit(x.detach().double().numpy()) for x in (batch.logits, VIEW))
    divergence = (p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))).mean(1)
    is_sure = np.maximum(p, 1 - p).min(1) >= 0.6
    assert 0 < is_sure.sum() < 9
    loss = ConsistencyLoss(confidence_threshold=0.6)(batch)
    assert loss.item() == pytest.approx((is_sure * divergence).mean(), rel=1e-4)


def test_the_view_learns_and_the_clean_side_does_not():
    view = VIEW.clone().requires_grad_()
    batch = make_batch(extra_logits=view)
    ConsistencyLoss()(batch).backward()
    assert batch.logits.grad is None
    assert batch.features.grad is None
    assert (view.grad.abs().sum(dim=1) > 0).all()


def test_it_reads_the_views():
    inputs = {"input_ids": torch.ones(2, 3), "view_input_ids": torch.zeros(2, 5), "labels": VIEW}
    rows = ConsistencyLoss().extra_rows(inputs, step=0)
    assert rows.keys() == {"input_ids"}
    assert rows["input_ids"].shape == (2, 5)


def test_rows_without_views_are_refused(tmp_path, encoder, english):
    trainer = TransferTrainer(
        encoder,
        arguments(tmp_path, max_steps=1),
        train_dataset=english,
        transfer_loss=ConsistencyLoss(),
    )
    with pytest.raises(ConfigError, match="no column view_text; make it with code_switch"):
        trainer.train()


def test_the_second_language_learns_from_the_first(tmp_path, encoder, english, chinese):
    """Translations as views, and labels on the English side alone."""
    rows = english.add_column("view_text", chinese["text"][:] * 4)

    def accuracy(weight: float) -> float:
        args = arguments(tmp_path, num_train_epochs=12, learning_rate=3e-3)
        loss = ConsistencyLoss(weight=weight)
        trainer = TransferTrainer(encoder, args, train_dataset=rows, transfer_loss=loss)
        trainer.train()
        found = trainer.predict_labels(chinese)
        return float((found.predictions == found.references).mean())

    assert accuracy(0.0) < 0.9
    assert accuracy(1.0) == 1.0


@pytest.mark.parametrize("settings", [{"weight": -1.0}, {"confidence_threshold": 1.0}])
def test_bad_settings(settings):
    with pytest.raises(ConfigError, match="consistency loss needs"):
        ConsistencyLoss(**settings)
