from __future__ import annotations

import numpy as np
import pytest
import torch

from xlingual.errors import DataError
from xlingual.transfer.model.embedding_propagation import propagate_embeddings


def tables(size: int = 12, dim: int = 4) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    before = torch.randn(size, dim, generator=generator)
    moved = torch.randn(size, dim, generator=generator) / 10
    is_seen = torch.arange(size) < 7
    return before, before + moved * is_seen[:, None], is_seen


def test_against_numpy():
    before, after, is_seen = tables()
    found = propagate_embeddings(before, after, is_seen=is_seen, num_neighbors=3, temperature=0.5)
    b, a, seen = before.numpy(), after.numpy(), np.flatnonzero(is_seen.numpy())
    unit = b / np.linalg.norm(b, axis=1, keepdims=True)
    for row in range(len(b)):
        if row in seen:
            np.testing.assert_array_equal(found[row], a[row])
            continue
        cosines = unit[seen] @ unit[row]
        nearest = np.argsort(-cosines)[:3]
        weights = np.exp(cosines[nearest] / 0.5)
        weights /= weights.sum()
        expected = b[row] + (weights[:, None] * (a - b)[seen[nearest]]).sum(0)
        np.testing.assert_allclose(found[row], expected, rtol=1e-5, atol=1e-6)


def test_a_translation_goes_where_its_word_went():
    before = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.99, 0.01]])  # excellent, awful, 优秀
    after = before + torch.tensor([[0.0, 0.5], [0.0, -0.5], [0.0, 0.0]])
    is_seen = torch.tensor([True, True, False])
    found = propagate_embeddings(before, after, is_seen=is_seen, num_neighbors=1)
    torch.testing.assert_close(found[2], before[2] + torch.tensor([0.0, 0.5]))


def test_nothing_moved_or_nothing_seen_changes_nothing():
    before, after, is_seen = tables()
    assert torch.equal(propagate_embeddings(before, before, is_seen=is_seen), before)
    nothing = torch.zeros_like(is_seen)
    assert torch.equal(propagate_embeddings(before, after, is_seen=nothing), after)
    everything = torch.ones_like(is_seen)
    assert torch.equal(propagate_embeddings(before, after, is_seen=everything), after)


def test_many_tokens_are_done_in_parts(monkeypatch):
    before, after, is_seen = tables()
    whole = propagate_embeddings(before, after, is_seen=is_seen)
    monkeypatch.setattr("xlingual.transfer.model.embedding_propagation._ROWS_AT_A_TIME", 2)
    assert torch.equal(propagate_embeddings(before, after, is_seen=is_seen), whole)


def test_tables_of_other_shapes():
    before, after, is_seen = tables()
    with pytest.raises(DataError, match="one shape"):
        propagate_embeddings(before, after[:5], is_seen=is_seen)
