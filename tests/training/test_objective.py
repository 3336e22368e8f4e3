from __future__ import annotations

import numpy as np
import pytest
import torch
from datasets import Dataset
from scipy.special import expit, log_softmax, softmax

from tests.training.test_trainer import arguments, weights
from xlingual import LabelSpace, TransferTrainer, get_task
from xlingual.tasks import IGNORE_INDEX
from xlingual.training.objective import num_taught, soft_loss_per_row

SPACE = LabelSpace(("negative", "positive"))
LOGITS = np.array([[2.0, -1.0, 0.5], [0.1, 0.2, -3.0], [1.0, 1.0, 1.0]])
TEACHER = np.array([[0.7, 0.2, 0.1], [0.05, 0.15, 0.8], [IGNORE_INDEX] * 3])


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
def test_soft_labels_against_numpy(temperature):
    teacher_logits = np.log(TEACHER[:2])  # probabilities are logits up to a constant
    teacher = softmax(teacher_logits / temperature, axis=1)
    expected = -(temperature**2) * (teacher * log_softmax(LOGITS[:2] / temperature, axis=1)).sum(1)
    found = soft_loss_per_row(
        torch.tensor(LOGITS),
        torch.tensor(TEACHER),
        task=get_task("sequence"),
        kd_temperature=temperature,
    )
    np.testing.assert_allclose(found, [*expected, 0.0], rtol=1e-5)


def test_soft_multi_labels_against_numpy():
    found = soft_loss_per_row(
        torch.tensor(LOGITS), torch.tensor(TEACHER), task=get_task("multi_label")
    )
    p, q = expit(LOGITS[:2]), TEACHER[:2]
    expected = -(q * np.log(p) + (1 - q) * np.log(1 - p)).mean(1)
    np.testing.assert_allclose(found, [*expected, 0.0], rtol=1e-5)


def test_rows_with_either_kind_of_label_are_counted_once():
    batch = {"labels": torch.tensor([1, IGNORE_INDEX, IGNORE_INDEX])}
    assert num_taught(batch) == 1
    batch["soft_labels"] = torch.tensor(TEACHER)
    assert num_taught(batch) == 2


def soft_rows(probabilities: list[dict | None], labels: list[str | None]) -> Dataset:
    texts = ["房间很干净", "服务员态度恶劣", "The room was clean", "再也不来"]
    return Dataset.from_dict({"text": texts, "label": labels, "soft_labels": probabilities})


def test_a_soft_label_of_one_is_the_hard_label(tmp_path, encoder):
    names = ["positive", "negative", "positive", "negative"]
    one_hot = [{n: float(n == name) for n in reversed(SPACE.names)} for name in names]
    hard = soft_rows([None, None, None, one_hot[3]], names)
    soft = soft_rows(one_hot, [None, None, None, names[3]])
    ends = []
    for rows in (hard, soft):
        args = arguments(tmp_path, max_steps=3, optim="sgd", learning_rate=0.1)
        trainer = TransferTrainer(encoder, args, train_dataset=rows, label_space=SPACE)
        trainer.train()
        ends.append(weights(trainer))
    for name, value in ends[0].items():
        torch.testing.assert_close(value, ends[1][name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0.0), (1.0, 1.0)])
def test_the_weight_between_both_kinds(tmp_path, encoder, share, expected):
    """Hard and soft labels that contradict each other: the weight says which is learnt."""
    hard = ["negative", "negative", "negative", "negative"]
    rows = soft_rows([{"negative": 0.0, "positive": 1.0}] * 4, hard)
    args = arguments(tmp_path, max_steps=30, soft_label_weight=share, learning_rate=1e-2)
    trainer = TransferTrainer(encoder, args, train_dataset=rows, label_space=SPACE)
    trainer.train()
    positive = trainer.predict_labels(rows).probs[:, 1]
    np.testing.assert_allclose(positive, expected, atol=0.1)


def test_a_second_view_is_padded_by_itself(tmp_path, encoder):
    rows = Dataset.from_dict(
        {
            "text": ["房间很干净", "bad"],
            "label": ["positive", "negative"],
            "view_text": ["room 很 clean and quiet, we loved it", None],
        }
    )
    trainer = TransferTrainer(encoder, arguments(tmp_path), train_dataset=rows)
    batch = next(iter(trainer.get_train_dataloader()))
    assert batch["view_input_ids"].shape[0] == 2
    assert batch["view_input_ids"].shape[1] > batch["input_ids"].shape[1]
    lengths = batch["view_attention_mask"].sum(dim=1).tolist()
    assert sorted(lengths)[0] < sorted(lengths)[1]
    trainer.train()
