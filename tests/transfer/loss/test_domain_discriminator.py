from __future__ import annotations

import math

import pytest
import torch

from xlingual.transfer.loss.domain_discriminator import DomainDiscriminator, reversal_strength

DOMAIN = torch.tensor([0, 0, 0, 1])


def test_the_schedule_is_that_of_the_paper():
    assert reversal_strength(0.0, scale=1.0) == 0
    assert reversal_strength(0.1, scale=0.1) == pytest.approx(0.1 * (2 / (1 + math.exp(-1)) - 1))
    assert reversal_strength(1.0, scale=0.5) == pytest.approx(0.5, rel=1e-3)


def test_both_domains_weigh_the_same():
    discriminator = DomainDiscriminator(2, 3)
    with torch.no_grad():
        discriminator.output.weight.zero_()
        discriminator.output.bias.fill_(1.0)  # "target", with the odds of e to 1
    loss = discriminator(torch.randn(4, 2), DOMAIN, strength=1.0)
    wrong, right = math.log1p(math.exp(1)), math.log1p(math.exp(-1))
    assert loss.item() == pytest.approx((wrong + right) / 2, rel=1e-5)


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_the_discriminator_descends_and_the_encoder_ascends(strength):
    """The reversed gradient is the usual one, which a copy of the loss gives, times -strength."""
    discriminator = DomainDiscriminator(2, 3)
    rows = torch.randn(4, 2, requires_grad=True)
    discriminator(rows, DOMAIN, strength=strength).backward()
    reversed_, own = rows.grad.clone(), discriminator.hidden.weight.grad.clone()
    rows.grad = None
    discriminator.zero_grad()
    scores = discriminator.output(torch.relu(discriminator.hidden(rows)))[:, 0]
    losses = torch.log1p(torch.exp(torch.where(DOMAIN == 1, -scores, scores)))
    ((losses[:3].mean() + losses[3]) / 2).backward()
    torch.testing.assert_close(own, discriminator.hidden.weight.grad)
    torch.testing.assert_close(reversed_, -strength * rows.grad)
    assert rows.grad.abs().max() > 0


@pytest.mark.parametrize("domain", [[0, 0], [1, 1]])
def test_one_domain_gives_zero_and_reaches_every_parameter(domain):
    discriminator = DomainDiscriminator(2, 3)
    loss = discriminator(torch.randn(2, 2), torch.tensor(domain), strength=1.0)
    loss.backward()
    assert loss.item() == 0
    for parameter in discriminator.parameters():
        assert parameter.grad is not None  # DDP waits for it
        assert parameter.grad.abs().max() == 0


def test_rows_without_weight_do_not_count():
    discriminator, rows = DomainDiscriminator(2, 3), torch.randn(4, 2)
    weights = torch.tensor([0.0, 2.0, 2.0, 5.0])
    weighted = discriminator(rows, DOMAIN, strength=1.0, weights=weights)
    torch.testing.assert_close(weighted, discriminator(rows[1:], DOMAIN[1:], strength=1.0))
    assert discriminator(rows, DOMAIN, strength=1.0, weights=1.0 - DOMAIN.float()).item() == 0


def test_half_precision():
    discriminator, rows = DomainDiscriminator(2, 3), torch.randn(4, 2).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        loss = discriminator(rows, DOMAIN, strength=1.0)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, discriminator(rows.float(), DOMAIN, strength=1.0))


def test_its_accuracy_is_the_mean_of_the_two_domains():
    discriminator = DomainDiscriminator(1, 1)
    with torch.no_grad():
        for parameter in discriminator.parameters():
            parameter.fill_(1.0)
        discriminator.output.bias.fill_(-2.5)  # from 1.5 upwards it says target
    rows = torch.tensor([[0.0], [0.5], [0.9], [2.0], [3.0], [0.0]])
    assert discriminator.accuracy.isnan(), "before the first batch"
    discriminator(rows, torch.tensor([0, 0, 0, 0, 1, 1]), strength=1.0)
    assert discriminator.accuracy.item() == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert not discriminator.accuracy.requires_grad
    discriminator(rows, torch.zeros(6), strength=1.0)
    assert discriminator.accuracy.isnan(), "no target rows"
    assert "accuracy" not in discriminator.state_dict()
