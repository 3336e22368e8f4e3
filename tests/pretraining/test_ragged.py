"""Batches gathered out of rows of different lengths."""

from __future__ import annotations

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

from xlingual.pretraining.ragged import RaggedRows, tokenise

ROWS = RaggedRows(torch.tensor([2, 7, 3, 2, 3, 2, 9, 8, 3]), np.array([3, 2, 4]))


def test_padding_keeps_rows_and_masks_the_rest() -> None:
    ids, mask = ROWS.padded(np.array([1, 2]), 0)
    assert ids.tolist() == [[2, 3, 0, 0], [2, 9, 8, 3]]
    assert mask.tolist() == [[True, True, False, False], [True] * 4]


def test_pairs_join_with_one_cls() -> None:
    ids, mask = ROWS.joined(np.array([0, 1]), np.array([2, 0]), 0)
    assert ids.tolist() == [[2, 7, 3, 9, 8, 3], [2, 3, 7, 3, 0, 0]]
    assert mask.sum(1).tolist() == [6, 4]
    cut, _ = ROWS.joined(np.array([0]), np.array([2]), 0, max_length=4)
    assert cut.tolist() == [[2, 7, 3, 9]]


def test_rows_of_vectors() -> None:
    vectors = torch.arange(10.0).reshape(5, 2)
    found, _ = RaggedRows(vectors, np.array([2, 3])).padded(np.array([1, 0]), 0)
    assert found.tolist() == [[[4, 5], [6, 7], [8, 9]], [[0, 1], [2, 3], [0, 0]]]


def test_texts_become_rows_with_their_spans(tokenizer: PreTrainedTokenizerFast) -> None:
    texts = ["I like the room.", "", "我喜欢书。"]
    rows, spans = tokenise(texts, tokenizer, max_length=64, with_spans=True)
    assert spans is not None
    assert rows.lengths.tolist() == [len(tokenizer(text).input_ids) for text in texts]
    ids, _ = rows.padded(np.array([2]), 0)
    assert ids[0].tolist() == tokenizer(texts[2]).input_ids
    chinese = spans[-int(rows.lengths[2]) :].tolist()
    assert chinese == [[0, 0], [0, 1], [1, 2], [2, 3], [3, 4], [4, 5], [0, 0]]
    assert tokenise(texts, tokenizer, max_length=64)[1] is None
