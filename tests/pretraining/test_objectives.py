"""Each loss against its formula, computed in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from xlingual.pretraining.objectives import bag_of_words_loss, masked_prediction_loss


def _log_softmax(scores: np.ndarray) -> np.ndarray:
    return scores - np.log(np.exp(scores).sum(-1, keepdims=True))


def test_bag_of_words_is_its_formula() -> None:
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((2, 6))
    logs = _log_softmax(logits)
    expected = -((logs[0, 1] + logs[0, 3]) / 2 + logs[1, 5]) / 2
    loss = bag_of_words_loss(
        torch.tensor(logits),
        torch.tensor([[0, 1, 3], [0, 5, 0]]),
        torch.tensor([[False, True, True], [False, True, False]]),
    )
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_masked_prediction_with_every_negative_is_exact() -> None:
    torch.manual_seed(0)
    hidden, weight, bias = torch.randn(4, 3), torch.randn(7, 3), torch.randn(7)
    labels = torch.tensor([1, 6, 1, 0])
    exact = torch.nn.functional.cross_entropy(hidden @ weight.T + bias, labels)
    sampled = masked_prediction_loss(hidden, weight, bias, labels, negatives=torch.arange(7))
    few = masked_prediction_loss(hidden, weight, bias, labels, negatives=torch.tensor([2]))
    torch.testing.assert_close(sampled, exact)
    assert few < exact
