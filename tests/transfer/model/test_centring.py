"""The offset between the languages, and its removal as a shift of the logits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from xlingual.errors import DataError
from xlingual.transfer import centring_shift, language_offset


def sides(offset, *, target_share: float, seed: int = 0):
    """Two classes two apart on the first axis; the target is moved by ``offset``."""
    generator = np.random.default_rng(seed)
    rows = []
    for share, move in ((0.5, np.zeros(3)), (target_share, offset)):
        labels = (np.arange(4000) < 4000 * share).astype(int)
        features = generator.normal(size=(4000, 3)) * 0.3 + move
        features[:, 0] += 2.0 * labels
        rows.append((features, np.eye(2)[labels]))
    return rows


def test_plain_offset_is_the_difference_of_the_means() -> None:
    (source, _), (target, _) = sides(np.array([0.5, -1.0, 2.0]), target_share=0.5)
    found = language_offset(source, target)
    np.testing.assert_allclose(found, target.mean(0) - source.mean(0))
    np.testing.assert_allclose(found, [0.5, -1.0, 2.0], atol=0.05)


def test_class_by_class_the_offset_is_free_of_the_prior() -> None:
    offset = np.array([0.5, -1.0, 2.0])
    (source, p), (target, q) = sides(offset, target_share=0.9)
    plain = language_offset(source, target)
    by_class = language_offset(source, target, source_probs=p, target_probs=q)
    assert plain[0] > 1.2  # 0.4 more of the class that is two away
    np.testing.assert_allclose(by_class, offset, atol=0.05)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), rows=st.integers(1, 30), by_class=st.booleans())
def test_identical_sides_have_no_offset(seed, rows, by_class) -> None:
    generator = np.random.default_rng(seed)
    features, probs = generator.normal(size=(rows, 4)), generator.dirichlet(np.ones(3), size=rows)
    extra = {"source_probs": probs, "target_probs": probs} if by_class else {}
    np.testing.assert_allclose(language_offset(features, features, **extra), 0, atol=1e-12)


def test_a_class_that_is_never_predicted_adds_no_nonsense() -> None:
    (source, p), (target, _) = sides(np.zeros(3), target_share=0.5)
    constant = np.tile([1.0, 0.0], (len(target), 1))
    found = language_offset(source, target, source_probs=p, target_probs=constant)
    assert np.abs(found).max() < 1.1


def test_centring_is_a_shift_of_the_logits() -> None:
    generator = np.random.default_rng(0)
    weight, bias, offset = (generator.normal(size=s) for s in ((3, 5), 3, 5))
    features = generator.normal(size=(7, 5))
    np.testing.assert_allclose(
        features @ weight.T + bias + centring_shift(weight, offset),
        (features - offset) @ weight.T + bias,
    )


def test_bad_input_is_refused() -> None:
    rows, probs = np.zeros((4, 3)), np.full((4, 2), 0.5)
    with pytest.raises(DataError, match="one width"):
        language_offset(rows, np.zeros((4, 2)))
    with pytest.raises(DataError, match="finite"):
        language_offset(rows, np.full((4, 3), np.nan))
    with pytest.raises(DataError, match="at least one row"):
        language_offset(rows, np.zeros((0, 3)))
    with pytest.raises(DataError, match="both sides or for neither"):
        language_offset(rows, rows, source_probs=probs)
    with pytest.raises(DataError, match="for each of 4 rows"):
        language_offset(rows, rows, source_probs=probs[:3], target_probs=probs)
    with pytest.raises(DataError, match="same labels"):
        language_offset(rows, rows, source_probs=np.ones((4, 3)), target_probs=probs)
    with pytest.raises(DataError, match="offset"):
        centring_shift(np.zeros((2, 3)), np.zeros(2))
