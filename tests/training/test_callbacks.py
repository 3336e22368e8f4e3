"""The parts of the loss, as they stand in the log."""

from __future__ import annotations

import json

import pytest
import torch
from accelerate import Accelerator

from tests.training.test_trainer import arguments
from xlingual import (
    CoralLoss,
    DomainAdversarialLoss,
    LabelSpace,
    TransferTrainer,
    mix_domains,
)
from xlingual.training.callbacks import LossParts

SPACE = LabelSpace(("negative", "positive"))


def test_means_by_weight_without_what_is_not_finite():
    parts = LossParts()
    parts.add({"loss_task": torch.tensor(1.0), "accuracy": torch.tensor(float("nan"))}, weight=0.5)
    parts.add({"loss_task": torch.tensor(3.0), "accuracy": torch.tensor(0.75)}, weight=0.5)
    parts.add({"loss_task": torch.tensor(5.0), "accuracy": torch.tensor(0.25)}, weight=1.0)
    found = parts.take_means(Accelerator(cpu=True))
    assert found == {"loss_task": (0.5 + 1.5 + 5) / 2, "accuracy": (0.375 + 0.25) / 1.5}
    assert parts.take_means(Accelerator(cpu=True)) == {}
    parts.add({"accuracy": torch.tensor(float("inf"))}, weight=1.0)
    assert parts.take_means(Accelerator(cpu=True)) == {}, "no finite number, no mean"
    parts.add({"loss_task": torch.tensor(7.0)}, weight=1.0)
    parts.on_train_begin(None, None, None)
    assert parts.take_means(Accelerator(cpu=True)) == {}, "of an earlier run"


def fit(folder, encoder, english, chinese, losses, **settings) -> TransferTrainer:
    rows = mix_domains({"en": english}, {"zh": chinese.remove_columns("label")})
    args = arguments(
        folder, per_device_train_batch_size=4, target_share=0.5, logging_steps=2, **settings
    )
    trainer = TransferTrainer(
        encoder, args, train_dataset=rows, label_space=SPACE, transfer_loss=losses
    )
    trainer.train(resume_from_checkpoint=args.resume_from_checkpoint)
    return trainer


def logged(trainer: TransferTrainer) -> list[dict]:
    return [line for line in trainer.state.log_history if "loss" in line]


@pytest.mark.parametrize("accumulation", [1, 4])
def test_the_parts_add_up_to_the_loss(tmp_path, encoder, english, chinese, accumulation):
    losses = [CoralLoss(weight=10.0), DomainAdversarialLoss(), CoralLoss()]
    trainer = fit(
        tmp_path, encoder, english, chinese, losses,
        gradient_accumulation_steps=accumulation, save_strategy="epoch",
    )  # fmt: skip
    lines = logged(trainer)
    assert lines
    names = ["loss_task", "loss_coral_1", "loss_dann", "loss_coral_2"]
    for line in lines:
        assert all(type(line[name]) is float for name in [*names, "discriminator_accuracy"])
        assert line["loss"] == pytest.approx(sum(line[name] for name in names), rel=1e-4)
        assert line["loss_coral_1"] == pytest.approx(10 * line["loss_coral_2"], rel=1e-4)
        assert 0 <= line["discriminator_accuracy"] <= 1
    checkpoint = max((tmp_path / "run").glob("checkpoint-*"), key=lambda path: path.stat().st_mtime)
    state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    assert [line for line in state["log_history"] if "loss" in line] == lines


def test_a_loss_alone_has_its_name_and_no_loss_none(tmp_path, encoder, english, chinese):
    alone = logged(fit(tmp_path / "one", encoder, english, chinese, CoralLoss()))[0]
    assert {name for name in alone if name.startswith("loss_")} == {"loss_task", "loss_coral"}
    plain = logged(fit(tmp_path / "none", encoder, english, chinese, None))[0]
    assert not any(name.startswith("loss_") for name in plain), "loss says it all"


def test_a_resumed_run_logs_what_the_whole_one_did(tmp_path, encoder, english, chinese):
    settings = {"save_strategy": "steps", "save_steps": 20, "save_total_limit": 9}
    whole = fit(tmp_path / "whole", encoder, english, chinese, DomainAdversarialLoss(), **settings)
    checkpoint = str(tmp_path / "whole" / "run" / "checkpoint-20")
    resumed = fit(
        tmp_path / "resumed", encoder, english, chinese, DomainAdversarialLoss(),
        resume_from_checkpoint=checkpoint, **settings,
    )  # fmt: skip
    names = ("step", "loss", "loss_task", "loss_dann", "discriminator_accuracy")
    lines = [[[line[name] for name in names] for line in logged(t)] for t in (whole, resumed)]
    assert len(lines[0]) > 10
    assert lines[0] == lines[1]
