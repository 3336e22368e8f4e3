from __future__ import annotations

import logging

import pytest
import torch

from tests.transfer.batches import HIDDEN, NUM_LABELS, make_batch
from xlingual.transfer.loss.cdan import ConditionalAdversarialLoss
from xlingual.transfer.loss.coral import CoralLoss
from xlingual.transfer.loss.dann import DomainAdversarialLoss
from xlingual.transfer.loss.mmd import MaximumMeanDiscrepancyLoss
from xlingual.transfer.loss.prior_shift import PriorWatch, warn_if_prior_moves

SURE = 8 * torch.eye(NUM_LABELS)
# On source rows each class is predicted twice; on target rows mostly the last.
SHIFTED = SURE[[0, 1, 2, 0, 1, 2, 2, 2, 2, 0]]
ALIKE = SURE[[0, 1, 2, 0, 1, 2, 1, 2, 0, 2]]


def test_a_shift_is_named(caplog):
    source, target = (
        torch.tensor([[0.6, 0.1, 0.3]]),
        torch.tensor([[0.2, 0.4, 0.4], [0.4, 0.2, 0.4]]),
    )
    assert warn_if_prior_moves(source, target, method="DANN")
    assert "DANN makes the domains alike, but label 0 is predicted with a share of 0.60" in (
        caplog.text
    )
    assert "0.30 on target rows" in caplog.text


@pytest.mark.parametrize("target", [[[0.55, 0.45]], [[float("nan")] * 2]])
def test_no_shift_is_passed_over(caplog, target):
    assert not warn_if_prior_moves(torch.tensor([[0.6, 0.4]]), torch.tensor(target), method="X")
    assert not caplog.records


def test_no_rows_are_no_shift(caplog):
    none = torch.zeros(0, 2)
    assert not warn_if_prior_moves(none, torch.tensor([[1.0, 0.0]]), method="X")


def test_it_looks_every_so_often_and_warns_once(caplog):
    watch = PriorWatch("CORAL", num_batches=3)
    for i in range(1, 12):
        watch(make_batch(6, 4, logits=SHIFTED))
        assert len(caplog.records) == (i >= 6), "the first three batches are the head's warm-up"


def test_what_is_alike_is_silent(caplog):
    watch = PriorWatch("CORAL", num_batches=2, max_distance=0.2)
    for _ in range(9):
        watch(make_batch(6, 4, logits=ALIKE))
        watch(make_batch(6, 0, logits=ALIKE[:6]))
    assert not caplog.records


@pytest.mark.parametrize(
    "loss",
    [
        CoralLoss(),
        MaximumMeanDiscrepancyLoss(),
        DomainAdversarialLoss(),
        ConditionalAdversarialLoss(),
    ],
    ids=lambda loss: type(loss).__name__,
)
def test_every_alignment_loss_watches(caplog, loss):
    loss.build(hidden_size=HIDDEN, num_labels=NUM_LABELS)
    with caplog.at_level(logging.WARNING):
        for _ in range(2 * loss.prior_watch.num_batches):
            loss(make_batch(6, 4, logits=SHIFTED))
    assert len(caplog.records) == 1
    assert "label shift" in caplog.text
