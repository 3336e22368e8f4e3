"""The model selection score against independent NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from xlingual.errors import ConfigError, DataError
from xlingual.evaluation import bitext_agreement


def test_bitext_agreement_is_its_formula() -> None:
    source, target = [0, 1, 1, 0, 1, 0, 0, 0], [0, 1, 0, 0, 1, 0, 0, 0]
    shares = np.array([0.75, 0.25])
    entropy = -(shares * np.log(shares)).sum() / np.log(2)
    found = bitext_agreement(source, target, source_accuracy=0.8, num_labels=2, min_entropy=0.9)
    assert found == pytest.approx(0.8 * 7 / 8 * entropy / 0.9)
    above = bitext_agreement(source, target, source_accuracy=0.8, num_labels=2)
    assert above == pytest.approx(0.8 * 7 / 8)


def test_a_constant_predictor_scores_nothing() -> None:
    assert bitext_agreement([1] * 9, [1] * 9, source_accuracy=0.9, num_labels=2) == 0


def test_bad_input_is_refused() -> None:
    with pytest.raises(DataError, match="at least one pair"):
        bitext_agreement([], [], source_accuracy=0.5, num_labels=2)
    with pytest.raises(DataError, match="from 0 to 1"):
        bitext_agreement([0, 2], [0, 1], source_accuracy=0.5, num_labels=2)
    with pytest.raises(ConfigError, match="source_accuracy"):
        bitext_agreement([0, 1], [0, 1], source_accuracy=50, num_labels=2)
