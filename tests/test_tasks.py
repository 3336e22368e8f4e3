"""Losses against formulas written here in NumPy, and the definitions of the tasks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from xlingual.errors import ConfigError
from xlingual.tasks import IGNORE_INDEX, get_task, is_labelled

GENERATOR = np.random.default_rng(0)
LOGITS = GENERATOR.normal(size=(6, 3)) * 3
LABELS = np.array([0, 2, IGNORE_INDEX, 1, 1, 0])


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def expected_cross_entropy(
    logits: np.ndarray, labels: np.ndarray, weights: np.ndarray, smoothing: float
) -> np.ndarray:
    """(1 - e) w_y (-log p_y) + e / K sum_c w_c (-log p_c), and 0 without a label."""
    surprise = -log_softmax(logits)
    rows = []
    for row, label in zip(surprise, labels, strict=True):
        if label == IGNORE_INDEX:
            rows.append(0.0)
            continue
        smooth = smoothing / len(row) * (weights * row).sum()
        rows.append((1 - smoothing) * weights[label] * row[label] + smooth)
    return np.array(rows)


def loss_of(task: str, logits: np.ndarray, labels: np.ndarray, **options) -> torch.Tensor:
    return get_task(task).loss_per_row(torch.tensor(logits), torch.tensor(labels), **options)


@pytest.mark.parametrize("task", ["sequence", "pair"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, [0.5, 2.0, 1.0]])
def test_cross_entropy(task: str, smoothing: float, weights: list[float] | None) -> None:
    loss = loss_of(
        task,
        LOGITS,
        LABELS,
        class_weights=None if weights is None else torch.tensor(weights),
        label_smoothing=smoothing,
    )
    expected = expected_cross_entropy(LOGITS, LABELS, np.array(weights or [1.0] * 3), smoothing)
    np.testing.assert_allclose(loss.numpy(), expected, rtol=1e-5)
    assert loss[2] == 0


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, [0.5, 2.0, 1.0]])
def test_token_rows_are_means_over_labelled_tokens(
    smoothing: float, weights: list[float] | None
) -> None:
    logits = GENERATOR.normal(size=(3, 4, 3))
    labels = np.array([[0, 1, 2, -100], [-100, 2, -100, -100], [-100] * 4])
    loss = loss_of(
        "token",
        logits,
        labels,
        class_weights=None if weights is None else torch.tensor(weights),
        label_smoothing=smoothing,
    )
    factors = np.array(weights or [1.0] * 3)
    rows = [
        expected_cross_entropy(tokens, tags, factors, smoothing)
        for tokens, tags in zip(logits, labels, strict=True)
    ]
    expected = [rows[0].sum() / 3, rows[1].sum() / 1, 0.0]
    np.testing.assert_allclose(loss.numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, [0.5, 2.0, 1.0]])
def test_binary_cross_entropy(smoothing: float, weights: list[float] | None) -> None:
    labels = np.array([[1, 0, 1], [0, 0, 0], [-100] * 3, [1, 1, 1], [0, 1, 0], [0, 0, 1]], float)
    loss = loss_of(
        "multi_label",
        LOGITS,
        labels,
        class_weights=None if weights is None else torch.tensor(weights),
        label_smoothing=smoothing,
    )
    probs = 1 / (1 + np.exp(-LOGITS))
    targets = labels * (1 - smoothing) + smoothing / 2
    factors = np.array(weights or [1.0] * 3)
    terms = -(factors * targets * np.log(probs) + (1 - targets) * np.log(1 - probs))
    expected = np.where(labels[:, 0] == IGNORE_INDEX, 0.0, terms.mean(axis=1))
    np.testing.assert_allclose(loss.numpy(), expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("task", "shape", "labels"),
    [
        ("sequence", (2, 3), [1, IGNORE_INDEX]),
        ("multi_label", (2, 3), [[1.0, 0.0, 1.0], [float(IGNORE_INDEX)] * 3]),
        ("token", (2, 2, 3), [[1, IGNORE_INDEX], [IGNORE_INDEX, IGNORE_INDEX]]),
    ],
)
def test_gradient_flows_to_labelled_rows_alone(task: str, shape: tuple, labels: list) -> None:
    logits = torch.randn(shape, generator=torch.Generator().manual_seed(0), requires_grad=True)
    get_task(task).loss_per_row(logits, torch.tensor(labels)).sum().backward()
    assert logits.grad is not None
    assert logits.grad[0].abs().sum() > 0
    assert (logits.grad[1] == 0).all()
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("task", ["sequence", "multi_label"])
def test_half_precision_logits_give_a_float32_loss(task: str) -> None:
    labels = torch.tensor([0, 1]) if task == "sequence" else torch.tensor([[1.0, 0], [0, 1.0]])
    logits = torch.tensor([[30.0, -30.0], [30.0, -30.0]])
    half = get_task(task).loss_per_row(logits.to(torch.bfloat16), labels)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, get_task(task).loss_per_row(logits, labels))


def test_decisions() -> None:
    logits = np.array([[0.1, -0.2, 0.0], [-1.0, 3.0, 2.0]])
    assert get_task("sequence").decide(logits).tolist() == [0, 1]
    assert get_task("multi_label").decide(logits).tolist() == [[1, 0, 0], [0, 1, 1]]
    assert get_task("token").decide(logits[None]).tolist() == [[0, 1]]


def test_probabilities() -> None:
    softmax = np.exp(log_softmax(LOGITS))
    sigmoid = 1 / (1 + np.exp(-LOGITS))
    np.testing.assert_allclose(get_task("sequence").probabilities(LOGITS), softmax)
    np.testing.assert_allclose(get_task("multi_label").probabilities(LOGITS), sigmoid)
    extreme = get_task("multi_label").probabilities(np.array([[-1000.0, 1000.0]]))
    assert extreme.tolist() == [[0.0, 1.0]]


def test_rows_that_count() -> None:
    assert is_labelled(torch.tensor([0, -100, 3])).sum() == 2
    assert is_labelled(torch.tensor([[0.0, 0.0], [-100.0, -100.0]])).sum() == 1
    assert is_labelled(torch.tensor([[-100, 2, -100], [-100, -100, -100]])).sum() == 1


@pytest.mark.parametrize(
    ("name", "text_columns", "label_column", "problem_type", "metric"),
    [
        ("sequence", ("text",), "label", "single_label_classification", "accuracy"),
        ("pair", ("text", "text_pair"), "label", "single_label_classification", "accuracy"),
        ("multi_label", ("text",), "labels", "multi_label_classification", "macro_f1"),
        ("token", ("tokens",), "tags", None, "entity_f1"),
    ],
)
def test_what_tasks_say(name, text_columns, label_column, problem_type, metric) -> None:
    import transformers

    task = get_task(name)
    assert (task.name, task.text_columns, task.label_column) == (name, text_columns, label_column)
    assert (task.problem_type, task.primary_metric) == (problem_type, metric)
    assert hasattr(transformers, task.auto_class)


def test_unknown_task_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"'multilabel' \(did you mean 'multi_label'\?\); .*pair"):
        get_task("multilabel")
