"""The loop: what moves, what a killed build becomes, and what is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from transformers import PreTrainedTokenizerFast

from xlingual.errors import ConfigError
from xlingual.pretraining import (
    BatchMaker,
    CodeSwitcher,
    ContextObjective,
    build_encoder,
    encode_bitexts,
    encode_text,
    read_bitext,
    read_dictionary,
    train_context,
)
from xlingual.pretraining.training import latest_checkpoint


@pytest.fixture
def batches(
    bitext_file: Path, dictionary_file: Path, tokenizer: PreTrainedTokenizerFast
) -> BatchMaker:
    return BatchMaker(
        encode_bitexts([read_bitext(bitext_file)], tokenizer),
        tokenizer,
        switcher=CodeSwitcher(read_dictionary(dictionary_file), tokenizer),
        contrast_batch=8,
        prediction_batch=4,
        prediction_every=2,
        negatives=16,
    )


@pytest.fixture
def objective(tokenizer: PreTrainedTokenizerFast) -> ContextObjective:
    table = np.random.default_rng(0).standard_normal((len(tokenizer), 32)).astype(np.float32)
    model = build_encoder(
        tokenizer, table, num_layers=1, intermediate_size=16, num_attention_heads=2
    )
    return ContextObjective(model)


def _train(
    objective: ContextObjective, batches: BatchMaker, folder: Path, **overrides: object
) -> dict[str, torch.Tensor]:
    settings: dict[str, object] = {"steps": 6, "save_every": 2, "learning_rate": 1e-2}
    train_context(
        objective,
        batches,
        accelerator=Accelerator(cpu=True),
        output_dir=folder,
        **{**settings, **overrides},  # type: ignore[arg-type]
    )
    return {name: tensor.clone() for name, tensor in objective.model.state_dict().items()}


def test_training_moves_every_weight(
    objective: ContextObjective, batches: BatchMaker, tmp_path: Path
) -> None:
    before = {name: tensor.clone() for name, tensor in objective.model.state_dict().items()}
    after = _train(objective, batches, tmp_path)
    still = [name for name in before if torch.equal(before[name], after[name])]
    assert still == []


def test_a_killed_build_resumes_to_the_same_bits(
    objective: ContextObjective, batches: BatchMaker, tmp_path: Path
) -> None:
    start = {name: tensor.clone() for name, tensor in objective.model.state_dict().items()}
    whole = _train(objective, batches, tmp_path / "whole")
    objective.model.load_state_dict(start)
    _train(objective, batches, tmp_path / "killed", stop_after=5)  # one step past its checkpoint
    objective.model.load_state_dict(start)
    resumed = _train(objective, batches, tmp_path / "killed")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_the_last_two_checkpoints_are_kept(
    objective: ContextObjective, batches: BatchMaker, tmp_path: Path
) -> None:
    saved: list[int] = []
    _train(objective, batches, tmp_path, on_save=saved.append)
    assert saved == [2, 4, 6]
    assert sorted(path.name for path in tmp_path.glob("checkpoint-*")) == [
        "checkpoint-4",
        "checkpoint-6",
    ]
    assert latest_checkpoint(tmp_path) == (6, tmp_path / "checkpoint-6")


def test_an_unfinished_checkpoint_is_not_resumed(tmp_path: Path) -> None:
    (tmp_path / "unfinished").mkdir()
    assert latest_checkpoint(tmp_path) is None


def test_steps_alternate_between_contrast_and_prediction(batches: BatchMaker) -> None:
    kinds = ["labels" in batches(step) for step in range(4)]
    assert kinds == [False, True, False, True]


def test_monolingual_text_alone_is_masked_prediction(
    objective: ContextObjective, tokenizer: PreTrainedTokenizerFast
) -> None:
    text = encode_text(["I like the room.", "我喜欢书。"] * 4, tokenizer)
    batches = BatchMaker(None, tokenizer, text=text, prediction_masking=0.5, negatives=8)
    assert "labels" in batches(0)
    assert torch.isfinite(objective(**batches(0)))


def test_neither_pairs_nor_text_is_an_error(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(ConfigError, match="pairs or monolingual"):
        BatchMaker(None, tokenizer)


def test_no_steps_is_an_error(
    objective: ContextObjective, batches: BatchMaker, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="steps"):
        _train(objective, batches, tmp_path, steps=0)
