"""The losses against their formulas in NumPy, and a student that learns by them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from transformers import PreTrainedTokenizerFast

from tests.pretraining.conftest import PAIRS
from tests.pretraining.teachers import save_teacher
from xlingual.pretraining import (
    BatchMaker,
    Bitext,
    ContextObjective,
    DistillationLoss,
    Teacher,
    TeacherTargets,
    build_encoder,
    cached_outputs,
    distinct_sentences,
    encode_bitexts,
    train_context,
)
from xlingual.pretraining.distillation import chunk_means, cosine_loss, relation_loss

BITEXT = Bitext("pairs", [en for en, _ in PAIRS[:60]], [zh for _, zh in PAIRS[:60]])


def _cosines(vectors: np.ndarray) -> np.ndarray:
    unit = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return unit @ unit.T


def test_cosine_loss_is_its_formula() -> None:
    rng = np.random.default_rng(0)
    student, teacher = rng.standard_normal((2, 3, 5))
    cosines = [
        s @ t / np.linalg.norm(s) / np.linalg.norm(t) for s, t in zip(student, teacher, strict=True)
    ]
    found = cosine_loss(torch.tensor(student), torch.tensor(teacher))
    assert found.item() == pytest.approx(1 - np.mean(cosines), rel=1e-5)
    weights = torch.tensor([True, False, True])
    found = cosine_loss(torch.tensor(student), torch.tensor(teacher), weights=weights)
    assert found.item() == pytest.approx(1 - (cosines[0] + cosines[2]) / 2, rel=1e-5)


def test_relation_loss_is_its_formula() -> None:
    rng = np.random.default_rng(0)
    student, teacher = rng.standard_normal((4, 3)), rng.standard_normal((4, 6))

    def neighbours(vectors: np.ndarray, row: int) -> np.ndarray:
        scores = np.delete(_cosines(vectors)[row], row) / 0.5
        return np.exp(scores) / np.exp(scores).sum()

    expected = np.mean(
        [
            (neighbours(teacher, i) * np.log(neighbours(teacher, i) / neighbours(student, i))).sum()
            for i in range(4)
        ]
    )
    found = relation_loss(torch.tensor(student), torch.tensor(teacher), temperature=0.5)
    assert found.item() == pytest.approx(expected, rel=1e-4)


def test_chunk_means() -> None:
    vectors = torch.tensor([[[1.0, 0], [3, 2], [5, 5]], [[2, 2], [7, 7], [9, 9]]])
    chunks = torch.tensor([[0, 0, 1], [-1, 0, -1]])
    means, is_chunk = chunk_means(vectors, chunks, 3)
    assert means.tolist() == [[[2, 1], [5, 5], [0, 0]], [[7, 7], [0, 0], [0, 0]]]
    assert is_chunk.tolist() == [[True, True, False], [True, False, False]]


@pytest.fixture(scope="module")
def targets(
    tokenizer: PreTrainedTokenizerFast, tmp_path_factory: pytest.TempPathFactory
) -> TeacherTargets:
    folder = tmp_path_factory.mktemp("teacher")
    sentences = distinct_sentences([BITEXT])
    outputs = cached_outputs(Teacher(save_teacher(folder)), sentences, folder / "cache")
    return TeacherTargets(outputs, sentences, encode_bitexts([BITEXT], tokenizer, with_spans=True))


def _train(
    tokenizer: PreTrainedTokenizerFast, targets: TeacherTargets, folder: Path, **overrides: object
) -> tuple[ContextObjective, BatchMaker]:
    table = np.random.default_rng(0).standard_normal((len(tokenizer), 32)).astype(np.float32)
    model = build_encoder(tokenizer, table, num_layers=1, num_attention_heads=2)
    objective = ContextObjective(
        model,
        contrast_weight=0.0,
        bag_of_words_weight=0.0,
        distillation=DistillationLoss(32, targets.dim),
    )
    batches = BatchMaker(
        encode_bitexts([BITEXT], tokenizer),
        tokenizer,
        targets=targets,
        contrast_batch=16,
        prediction_every=0,
    )
    settings: dict[str, object] = {"steps": 40, "save_every": 20, "learning_rate": 1e-2}
    train_context(
        objective,
        batches,
        accelerator=Accelerator(cpu=True),
        output_dir=folder,
        **{**settings, **overrides},  # type: ignore[arg-type]
    )
    return objective, batches


def test_every_target_is_learnt(
    tokenizer: PreTrainedTokenizerFast, targets: TeacherTargets, tmp_path: Path
) -> None:
    def losses(objective: ContextObjective, batches: BatchMaker) -> dict[str, float]:
        with torch.no_grad():
            objective(**batches(0))
        return {name: loss.item() for name, loss in objective.losses.items()}

    before = losses(*_train(tokenizer, targets, tmp_path / "one", steps=1, learning_rate=0.0))
    after = losses(*_train(tokenizer, targets, tmp_path / "many"))
    assert before.keys() == {"pooled", "token", "relation"}
    assert [name for name in before if not after[name] < 0.8 * before[name]] == []


def test_a_killed_student_resumes_to_the_same_bits(
    tokenizer: PreTrainedTokenizerFast, targets: TeacherTargets, tmp_path: Path
) -> None:
    settings = {"steps": 6, "save_every": 2}
    whole, _ = _train(tokenizer, targets, tmp_path / "whole", **settings)
    _train(tokenizer, targets, tmp_path / "killed", stop_after=5, **settings)
    resumed, _ = _train(tokenizer, targets, tmp_path / "killed", **settings)
    state = resumed.state_dict()
    assert any(name.startswith("distillation.") for name in state)
    assert all(torch.equal(value, state[name]) for name, value in whole.state_dict().items())


def test_a_weight_of_nothing_leaves_its_loss_and_its_map_out() -> None:
    loss = DistillationLoss(8, 12, pooled_weight=0, token_weight=1, relation_weight=0)
    assert {name.split(".")[0] for name in loss.state_dict()} == {"token_map"}
    batch = {
        "teacher_tokens": torch.randn(2, 3, 12),
        "teacher_chunks": torch.tensor([[0, 1, 1], [0, -1, -1]]),
        "student_chunks": torch.tensor([[-1, 0, 1, 1], [-1, 0, 0, -1]]),
    }
    assert loss(torch.randn(2, 4, 8), torch.randn(2, 8), batch).keys() == {"token"}
