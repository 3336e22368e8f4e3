from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.transfer.batches import HIDDEN, NUM_LABELS, make_batch
from xlingual.errors import ConfigError
from xlingual.transfer.loss.dann import DomainAdversarialLoss


def make_loss(**settings) -> DomainAdversarialLoss:
    torch.manual_seed(0)
    loss = DomainAdversarialLoss(**settings)
    loss.build(hidden_size=HIDDEN, num_labels=NUM_LABELS)
    return loss


def test_against_numpy():
    loss, batch = make_loss(), make_batch()
    weights = {k: v.double().numpy() for k, v in loss.discriminator.state_dict().items()}
    features = batch.features.detach().double().numpy()
    hidden = np.maximum(0, features @ weights["hidden.weight"].T + weights["hidden.bias"])
    z = hidden @ weights["output.weight"][0] + weights["output.bias"]
    expected = np.log1p(np.exp(z[:5])).mean() / 2 + np.log1p(np.exp(-z[5:])).mean() / 2
    assert loss(batch).item() == pytest.approx(expected, rel=1e-5)


def test_the_schedule_scales_the_encoders_gradient_alone():
    gradients = {}
    for progress in (0.0, 0.05, 0.9):
        loss, batch = make_loss(scale=0.1), make_batch(progress=progress)
        loss(batch).backward()
        assert batch.logits.grad is None
        gradients[progress] = (batch.features.grad, loss.discriminator.hidden.weight.grad)
    assert gradients[0.0][0].abs().max() == 0
    ratio = (2 / (1 + np.exp(-0.5)) - 1) / (2 / (1 + np.exp(-9.0)) - 1)
    torch.testing.assert_close(gradients[0.05][0], ratio * gradients[0.9][0])
    for _, own in gradients.values():
        torch.testing.assert_close(own, gradients[0.9][1])


def test_a_step_of_the_encoder_confuses_and_one_of_the_discriminator_clears():
    loss, batch = make_loss(scale=1.0), make_batch(progress=0.9)
    before = loss(batch)
    before.backward()
    moved = (batch.features - 0.5 * batch.features.grad).detach()
    assert loss(make_batch(features=moved)) > before
    torch.optim.SGD(loss.parameters(), lr=0.5).step()
    assert loss(batch) < before


@pytest.mark.parametrize(("num_source", "num_target"), [(5, 0), (0, 5), (1, 1)])
def test_few_rows(num_source, num_target):
    batch = make_batch(num_source, num_target)
    loss = make_loss()(batch)
    loss.backward()
    assert (loss.item() == 0) is not bool(num_source and num_target)
    assert torch.isfinite(batch.features.grad).all()


def test_bad_scale():
    with pytest.raises(ConfigError, match="at least 0; got -1"):
        DomainAdversarialLoss(scale=-1)
