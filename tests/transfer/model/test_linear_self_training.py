from __future__ import annotations

import logging

import numpy as np
import pytest

from xlingual.errors import DataError
from xlingual.transfer.model.linear_head import LinearMap, fit_linear
from xlingual.transfer.model.linear_self_training import self_train_head


def two_clouds(num_rows: int, *, angle: float, seed: int, share: float = 0.5):
    """Two classes along a direction; the target's direction is turned by an angle."""
    generator = np.random.default_rng(seed)
    labels = (generator.random(num_rows) < share).astype(int)
    direction = np.array([np.cos(angle), np.sin(angle)])
    centres = np.where(labels[:, None] == 1, 1.0, -1.0) * direction * 2
    return centres + generator.normal(size=(num_rows, 2)), labels


def accuracy(head: LinearMap, features, labels) -> float:
    return float((head(features).argmax(axis=1) == labels).mean())


@pytest.mark.parametrize("share", [0.5, 0.7])
def test_it_finds_the_targets_own_direction(share):
    source, source_labels = two_clouds(400, angle=0.0, seed=0)
    target, target_labels = two_clouds(600, angle=1.1, seed=1, share=share)
    head = fit_linear(source, source_labels, num_labels=2, strength=1e-2)
    before = accuracy(head, target, target_labels)
    after = accuracy(self_train_head(head, target), target, target_labels)
    assert before < 0.9
    assert after > before + 0.04


def test_a_collapse_is_refused(caplog):
    """The target does not show the classes: a head fitted there learns something else."""
    generator = np.random.default_rng(0)
    target = generator.normal(size=(300, 20)) * np.array([0.01] + [1.0] * 19)
    head = LinearMap(np.array([[-1.0] + [0.0] * 19, [1.0] + [0.0] * 19]), np.zeros(2))
    with caplog.at_level(logging.WARNING):
        kept = self_train_head(head, target, min_agreement=0.99)
    assert kept is head
    assert "refused" in caplog.text


def test_too_few_rows_and_wrong_features(caplog):
    head = LinearMap(np.zeros((2, 3)), np.zeros(2))
    with caplog.at_level(logging.WARNING):
        assert self_train_head(head, np.zeros((5, 3))) is head
    assert "too few" in caplog.text
    with pytest.raises(DataError, match=r"\(rows, 3\)"):
        self_train_head(head, np.zeros((50, 4)))
    with pytest.raises(DataError):
        self_train_head(head, np.full((50, 3), np.nan))
