"""Every loss at the seam in a real run: unlabelled rows, bfloat16, a resume, and what is saved."""

from __future__ import annotations

import logging

import pytest
import torch
from safetensors import safe_open

from tests.distributed.losses_worker import LOSSES, SPACE, make_losses, training_rows
from tests.training.test_trainer import arguments, weights
from xlingual import TransferTrainer

ADVERSARIAL = {"dann", "cdan"}


def fit(folder, encoder, name, rows, **settings) -> TransferTrainer:
    args = arguments(folder, **{"num_train_epochs": 1, "target_share": 0.5, **settings})
    trainer = TransferTrainer(
        encoder,
        args,
        train_dataset=rows,
        label_space=SPACE,
        transfer_loss=make_losses(encoder)[name],
    )
    trainer.train(resume_from_checkpoint=args.resume_from_checkpoint)
    return trainer


@pytest.mark.parametrize("name", LOSSES)
def test_resumed_equals_uninterrupted(tmp_path, encoder, name):
    rows = training_rows()
    whole = fit(tmp_path / "a", encoder, name, rows, save_strategy="steps", save_steps=3)
    checkpoint = tmp_path / "a" / "run" / "checkpoint-3"
    assert (checkpoint / "transfer_loss.safetensors").exists() is (name in ADVERSARIAL)
    resumed = fit(tmp_path / "b", encoder, name, rows, resume_from_checkpoint=str(checkpoint))
    assert resumed.state.global_step == whole.state.global_step > 3
    ends = [weights(trainer) for trainer in (whole, resumed)]
    assert any("transfer_loss" in key for key in ends[0]) is (name in ADVERSARIAL)
    for key, value in ends[0].items():
        assert torch.equal(value, ends[1][key]), key


@pytest.mark.parametrize("name", LOSSES)
def test_unlabelled_rows_in_half_precision(tmp_path, encoder, name):
    """No label at all, mixed precision, and a saved model without the loss."""
    rows = training_rows()
    rows = rows.remove_columns("label").add_column(
        "label", [None] * len(rows), feature=rows.features["label"]
    )
    settings = {"precision": "bf16", "max_grad_norm": 0, "weight_decay": 0}
    trainer = fit(tmp_path, encoder, name, rows, **settings)
    after = weights(trainer)
    assert all(torch.isfinite(value).all() for value in after.values())
    assert all(value.dtype == torch.float32 for value in after.values())
    start = weights(TransferTrainer(encoder, arguments(tmp_path), label_space=SPACE))
    moved = {key for key, value in start.items() if not torch.equal(value, after[key])}
    assert any("layers.0." in key for key in moved), "the encoder learns from the loss alone"
    trainer.save_model()
    with safe_open(tmp_path / "run" / "model.safetensors", "pt") as saved:
        names = set(saved.keys())
    assert names
    assert not any("transfer_loss" in name for name in names)


@pytest.mark.parametrize("name", LOSSES)
def test_one_domain_alone_trains_on(tmp_path, encoder, name, caplog):
    rows = training_rows().filter(lambda row: row["domain"] == 0)
    with caplog.at_level(logging.WARNING, logger="xlingual"):
        trainer = fit(tmp_path, encoder, name, rows, target_share=None, max_steps=3)
    assert all(torch.isfinite(value).all() for value in weights(trainer).values())
    assert not caplog.records


def test_all_of_them_together(tmp_path, encoder):
    """Seven losses in one run, each with its own rows and parameters."""
    trainer = TransferTrainer(
        encoder,
        arguments(tmp_path, max_steps=4, target_share=0.5),
        train_dataset=training_rows(),
        label_space=SPACE,
        transfer_loss=list(make_losses(encoder).values()),
    )
    before = weights(trainer)
    trainer.train()
    for key, value in weights(trainer).items():
        assert torch.isfinite(value).all()
        if "transfer_loss" in key:
            assert not torch.equal(value, before[key]), key
