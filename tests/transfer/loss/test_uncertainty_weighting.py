from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.training.test_trainer import arguments, weights
from xlingual import TransferTrainer, UncertaintyWeights, mix_domains, number_groups
from xlingual.errors import ConfigError


def test_the_formula():
    loss = UncertaintyWeights(3, rate=10.0, bound=2.0)
    theta = np.array([0.05, -0.1, 0.3])
    with torch.no_grad():
        loss.theta.copy_(torch.tensor(theta))
    row_losses = np.array([0.7, 1.2, 0.1, 2.0, 0.0])
    group = np.array([0, 1, 2, 1, 0])
    labels = np.array([1, 0, 1, 1, -100])
    s = 2.0 * np.tanh(10.0 * theta / 2.0)
    expected = np.exp(-s[group]) * row_losses + s[group] / 2
    expected[4] = 0.0
    found = loss.scale_rows(
        torch.tensor(row_losses), {"group": torch.tensor(group), "labels": torch.tensor(labels)}
    )
    assert np.allclose(found.detach().numpy(), expected, atol=1e-6)


def test_at_the_start_it_is_the_plain_loss():
    inputs = {"group": torch.tensor([0, 1]), "labels": torch.tensor([0, 1])}
    row_losses = torch.tensor([0.3, 2.0])
    assert torch.equal(UncertaintyWeights(2).scale_rows(row_losses, inputs), row_losses)


def test_a_group_of_high_loss_comes_to_weigh_less():
    loss = UncertaintyWeights(2)
    optimizer = torch.optim.AdamW(loss.parameters(), lr=1e-3)
    inputs = {"group": torch.tensor([0, 1]), "labels": torch.tensor([0, 1])}
    for _ in range(50):
        optimizer.zero_grad()
        loss.scale_rows(torch.tensor([0.1, 2.0]), inputs).sum().backward()
        optimizer.step()
    low, high = loss.log_variances.tolist()
    assert -2 < low < 0 < high < 2


def two_domains(english):
    return number_groups(
        mix_domains({"hotel": english.select(range(12)), "books": english.select(range(12, 24))})
    )


def test_trained_with_the_model_resumed_and_not_saved(tmp_path, encoder, english):
    ends = []
    for name, settings in (
        ("whole", {"save_strategy": "steps", "save_steps": 3}),
        ("resumed", {"resume_from_checkpoint": str(tmp_path / "whole/run/checkpoint-3")}),
    ):
        loss = UncertaintyWeights(2)
        args = arguments(tmp_path / name, **settings)
        rows = two_domains(english)
        trainer = TransferTrainer(encoder, args, train_dataset=rows, transfer_loss=loss)
        trainer.train(resume_from_checkpoint=args.resume_from_checkpoint)
        ends.append(weights(trainer))
        assert loss.theta.abs().sum() > 0
    for key, value in ends[0].items():
        assert torch.equal(value, ends[1][key]), key
    trainer.save_model()
    from safetensors import safe_open

    with safe_open(tmp_path / "resumed/run/model.safetensors", "pt") as saved:
        assert not any("theta" in name for name in saved.keys())  # noqa: SIM118


def test_one_batch_of_eight_is_eight_batches_of_one(tmp_path, encoder, english):
    rows = two_domains(english).select([0, 3, 6, 9, 12, 15, 18, 21])
    ends = []
    for batch, accumulation in ((8, 1), (1, 8)):
        args = arguments(
            tmp_path, max_steps=2, per_device_train_batch_size=batch, weight_decay=0.0,
            gradient_accumulation_steps=accumulation, optim="sgd",
        )  # fmt: skip
        trainer = TransferTrainer(
            encoder, args, train_dataset=rows, transfer_loss=UncertaintyWeights(2)
        )
        trainer.train()
        ends.append(weights(trainer))
    for key, value in ends[0].items():
        assert torch.allclose(value, ends[1][key], atol=1e-5), key


def test_what_it_needs(tmp_path, encoder, english):
    with pytest.raises(ConfigError, match="at least two tasks or domains"):
        UncertaintyWeights(1)
    trainer = TransferTrainer(
        encoder, arguments(tmp_path), train_dataset=english, transfer_loss=UncertaintyWeights(2)
    )
    with pytest.raises(ConfigError, match="number_groups"):
        trainer.train()


def test_the_log_has_the_weights():
    loss = UncertaintyWeights(2, rate=1.0)
    with torch.no_grad():
        loss.theta.copy_(torch.tensor([0.0, 1.0]))
    found = loss.metrics(torch.tensor(0.0))
    assert list(found) == ["group_weight_0", "group_weight_1"]
    assert found["group_weight_0"] == 1
    assert found["group_weight_1"].item() == pytest.approx(np.exp(-2 * np.tanh(0.5)), rel=1e-5)
