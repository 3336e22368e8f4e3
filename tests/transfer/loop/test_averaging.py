from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from tests.training.test_trainer import arguments, weights
from xlingual import TransferTrainer
from xlingual.errors import DataError
from xlingual.transfer.loop.averaging import WeightAverage, average_weights, snapshot_steps


@given(st.integers(1, 5000), st.integers(1, 20))
def test_snapshots_are_in_the_last_half_and_the_last_step_is_one(num_steps, num_snapshots):
    steps = snapshot_steps(num_steps, num_snapshots=num_snapshots)
    assert max(steps) == num_steps
    assert min(steps) >= num_steps / 2
    assert len(steps) <= num_snapshots // 2 + 1


def test_running_mean_against_numpy():
    layer, average, seen = torch.nn.Linear(3, 2), WeightAverage(), []
    layer.bias.requires_grad_(False)
    for value in (0.1, 7.0, -2.5):
        torch.nn.init.constant_(layer.weight, value)
        average.update(layer)
        seen.append(value)
    torch.nn.init.constant_(layer.bias, 5.0)
    average.apply_to(layer)
    np.testing.assert_allclose(layer.weight.detach(), np.mean(seen), rtol=1e-6)
    assert (layer.bias == 5).all(), "what is not trained is not averaged"


def test_the_mean_survives_a_checkpoint(tmp_path):
    layer, average = torch.nn.Linear(3, 2), WeightAverage()
    average.save(tmp_path)
    assert list(tmp_path.iterdir()) == []
    average.update(layer)
    average.save(tmp_path)
    other = WeightAverage()
    other.load(tmp_path)
    assert other.num_snapshots == 1
    assert other.mean.keys() == average.mean.keys()
    assert all(torch.equal(other.mean[name], average.mean[name]) for name in other.mean)


def test_averages_of_runs_and_what_cannot_be_averaged():
    first = {"w": torch.tensor([1.0, 2.0], dtype=torch.float16), "n": torch.tensor([3])}
    second = {"w": torch.tensor([3.0, 4.0], dtype=torch.float16), "n": torch.tensor([3])}
    mean = average_weights([first, second])
    assert mean["w"].tolist() == [2, 3]
    assert mean["w"].dtype == torch.float16
    assert mean["n"].tolist() == [3]
    with pytest.raises(DataError, match="differ in w"):
        average_weights([first, {**second, "w": torch.zeros(3)}])
    with pytest.raises(DataError, match="at least one"):
        average_weights([])


def fit(tmp_path, encoder, english, **settings) -> TransferTrainer:
    usual = {"selection": "average", "save_strategy": "steps", "save_steps": 3, "max_steps": 8}
    args = arguments(tmp_path, **{**usual, **settings})
    trainer = TransferTrainer(encoder, args, train_dataset=english)
    trainer.train(resume_from_checkpoint=args.resume_from_checkpoint)
    return trainer


def test_a_run_ends_with_the_mean_of_its_snapshots(tmp_path, encoder, english):
    snapshots = []
    for step in sorted(snapshot_steps(8)):  # a constant rate: shorter runs are its beginnings
        run = fit(
            tmp_path / str(step), encoder, english, selection="last", max_steps=step,
            lr_scheduler_type="constant", warmup_steps=0,
        )  # fmt: skip
        snapshots.append({name: value.double() for name, value in weights(run).items()})
    run = fit(tmp_path, encoder, english, lr_scheduler_type="constant", warmup_steps=0)
    for name, value in weights(run).items():
        mean = torch.stack([snapshot[name] for snapshot in snapshots]).mean(0)
        torch.testing.assert_close(value.double(), mean, rtol=1e-6, atol=1e-7)
    run.save_model()
    saved = TransferTrainer(str(tmp_path / "run"), arguments(tmp_path), train_dataset=english)
    for name, value in weights(run).items():
        assert torch.equal(value, weights(saved)[name])


@pytest.mark.parametrize("step", [3, 6])
def test_resumed_equals_uninterrupted(tmp_path, encoder, english, step):
    whole = fit(tmp_path / "whole", encoder, english, save_total_limit=None)
    checkpoint = tmp_path / "whole" / "run" / f"checkpoint-{step}"
    resumed = fit(tmp_path / "resumed", encoder, english, resume_from_checkpoint=str(checkpoint))
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(resumed)[name]), name
