"""InfoNCE against its formula, computed in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from xlingual.transfer.loss.info_nce import info_nce


def _log_softmax(scores: np.ndarray) -> np.ndarray:
    return scores - np.log(np.exp(scores).sum(-1, keepdims=True))


def test_info_nce_is_its_formula() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 5, 8))
    unit = [a / np.linalg.norm(a, axis=1, keepdims=True) for a in (x, y)]
    scores = unit[0] @ unit[1].T / 0.1
    rows, columns = _log_softmax(scores), _log_softmax(scores.T)
    expected = -(np.trace(rows) + np.trace(columns)) / 10
    loss = info_nce(torch.tensor(x), torch.tensor(y), temperature=0.1)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_false_negatives_leave_the_sum() -> None:
    x, y = torch.eye(3), torch.eye(3)[[0, 0, 2]]
    keys = torch.tensor([4, 4, 5])
    with_keys = info_nce(x, y, target_keys=keys)
    without = info_nce(x, y)
    assert with_keys < without
    assert torch.isfinite(with_keys)
