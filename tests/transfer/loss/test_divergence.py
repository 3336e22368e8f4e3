from __future__ import annotations

import numpy as np
import torch
from scipy.special import expit, softmax

from xlingual.transfer.loss.divergence import divergence_per_row

RNG = np.random.default_rng(0)
LOGITS, OTHER = 3 * RNG.standard_normal((2, 4, 3))


def test_one_label_a_row_against_numpy():
    p, q = softmax(LOGITS, axis=1), softmax(OTHER, axis=1)
    found = divergence_per_row(torch.tensor(LOGITS), torch.tensor(OTHER))
    np.testing.assert_allclose(found, (p * np.log(p / q)).sum(1), rtol=1e-4)


def test_several_labels_a_row_against_numpy():
    p, q = expit(LOGITS), expit(OTHER)
    expected = (p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))).mean(1)
    found = divergence_per_row(torch.tensor(LOGITS), torch.tensor(OTHER), is_multi_label=True)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_equal_and_extreme_predictions():
    sure = torch.tensor([[90.0, -90.0, 0.0], [-90.0, 90.0, 0.0]])
    for kind in (False, True):
        same = divergence_per_row(sure, sure, is_multi_label=kind)
        assert same.tolist() == [0, 0]
        opposite = divergence_per_row(sure, sure.flip(0), is_multi_label=kind)
        assert torch.isfinite(opposite).all()
        assert (opposite > 50).all()
