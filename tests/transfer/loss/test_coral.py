from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.transfer.batches import HIDDEN, make_batch
from xlingual.transfer.loss.coral import CoralLoss


def test_against_numpy():
    batch = make_batch()
    features = batch.features.detach().double().numpy()
    difference = np.cov(features[:5].T) - np.cov(features[5:].T)
    expected = np.linalg.norm(difference, "fro") ** 2 / (4 * HIDDEN**2)
    assert CoralLoss(weight=2.0)(batch).item() == pytest.approx(2 * expected, rel=1e-5)
    plain = CoralLoss(weight=2.0).distance(batch.features[:5], batch.features[5:])
    assert plain.item() == pytest.approx(expected, rel=1e-5), "without a trainer or a batch"


def test_identical_domains_give_zero():
    rows = make_batch(4, 0).features.detach()
    features = torch.cat([rows, rows]).requires_grad_()
    loss = CoralLoss()(make_batch(4, 4, features=features))
    loss.backward()
    assert loss.item() == 0
    assert features.grad.abs().max() == 0


@pytest.mark.parametrize(("num_source", "num_target"), [(5, 0), (0, 5), (5, 1), (1, 1)])
def test_no_covariance_gives_zero(num_source, num_target):
    assert CoralLoss()(make_batch(num_source, num_target)).item() == 0


def test_a_step_along_the_gradient_brings_the_domains_together():
    batch = make_batch()
    loss = CoralLoss()(batch)
    loss.backward()
    assert batch.logits.grad is None
    assert (batch.features.grad.abs().sum(dim=1) > 0).all()
    moved = (batch.features - batch.features.grad).detach()
    assert CoralLoss()(make_batch(features=moved)) < loss


def test_half_precision_features_are_compared_in_full():
    rows = make_batch().features.detach().bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        loss = CoralLoss()(make_batch(features=rows))
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, CoralLoss()(make_batch(features=rows.float())))


def test_features_must_be_asked_for():
    with pytest.raises(ValueError, match="set needs_features = True"):
        CoralLoss()(make_batch(features=None))
