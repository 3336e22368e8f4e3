from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.transfer.batches import make_batch
from xlingual.transfer.loss.mmd import MaximumMeanDiscrepancyLoss

BANDWIDTHS = (0.5, 1.0, 4.0)


def expected_mmd(source: np.ndarray, target: np.ndarray) -> float:
    rows = np.concatenate([source, target])
    distances = ((rows[:, None] - rows[None]) ** 2).sum(-1)
    kernel = np.mean([np.exp(-distances / (2 * a * distances.mean())) for a in BANDWIDTHS], axis=0)
    n = len(source)
    return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean()


@pytest.mark.parametrize("num_target", [4, 1])
def test_against_numpy(num_target):
    batch = make_batch(5, num_target)
    features = batch.features.detach().double().numpy()
    expected = expected_mmd(features[:5], features[5:])
    loss = MaximumMeanDiscrepancyLoss(weight=2.0, bandwidths=BANDWIDTHS)(batch)
    assert loss.item() == pytest.approx(2 * expected, rel=1e-5)
    plain = MaximumMeanDiscrepancyLoss(weight=2.0, bandwidths=BANDWIDTHS)
    found = plain.distance(batch.features[:5], batch.features[5:])
    assert found.item() == pytest.approx(expected, rel=1e-5), "without a trainer or a batch"


def test_identical_domains_give_zero():
    rows = make_batch(4, 0).features.detach()
    features = torch.cat([rows, rows]).requires_grad_()
    loss = MaximumMeanDiscrepancyLoss()(make_batch(4, 4, features=features))
    loss.backward()
    assert loss.item() == 0
    torch.testing.assert_close(features.grad, torch.zeros_like(features), atol=1e-7, rtol=0)


def test_rows_that_are_all_equal_give_zero():
    features = torch.ones(6, 3, requires_grad=True)
    loss = MaximumMeanDiscrepancyLoss()(make_batch(3, 3, features=features))
    loss.backward()
    assert loss.item() == 0
    assert torch.isfinite(features.grad).all()


@pytest.mark.parametrize(("num_source", "num_target"), [(5, 0), (0, 5)])
def test_one_domain_gives_zero(num_source, num_target):
    assert MaximumMeanDiscrepancyLoss()(make_batch(num_source, num_target)).item() == 0


def test_a_step_along_the_gradient_brings_the_domains_together():
    batch = make_batch()
    loss = MaximumMeanDiscrepancyLoss()(batch)
    loss.backward()
    assert batch.logits.grad is None
    assert (batch.features.grad.abs().sum(dim=1) > 0).all()
    moved = (batch.features - batch.features.grad).detach()
    assert MaximumMeanDiscrepancyLoss()(make_batch(features=moved)) < loss


def test_half_precision_features_are_compared_in_full():
    rows = make_batch().features.detach().bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        loss = MaximumMeanDiscrepancyLoss()(make_batch(features=rows))
    assert loss.dtype == torch.float32
    whole = MaximumMeanDiscrepancyLoss()(make_batch(features=rows.float()))
    torch.testing.assert_close(loss, whole)
