"""Padding, masking and code-switching."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizerFast

from xlingual.pretraining import CodeSwitcher, read_dictionary
from xlingual.pretraining.noise import join_pairs, mask_for_prediction, mask_inputs, pad_rows


def test_padding_keeps_rows_and_masks_the_rest() -> None:
    ids, mask = pad_rows([np.array([2, 7, 3]), np.array([2, 3])], pad_id=0)
    assert ids.tolist() == [[2, 7, 3], [2, 3, 0]]
    assert mask.tolist() == [[True, True, True], [True, True, False]]


def test_pairs_join_with_one_cls() -> None:
    joined = join_pairs([np.array([2, 7, 3])], [np.array([2, 9, 3])])
    assert joined[0].tolist() == [2, 7, 3, 9, 3]


def test_special_tokens_are_never_masked() -> None:
    ids = np.tile([[2, 9, 3, 0]], (200, 1))
    rng = np.random.default_rng(0)
    masked = mask_inputs(ids, probability=0.5, mask_id=4, special_ids=[0, 1, 2, 3, 4], rng=rng)
    assert set(masked[:, 1]) == {4, 9}
    assert (masked[:, [0, 2, 3]] == ids[:, [0, 2, 3]]).all()


def test_prediction_masks_80_10_10() -> None:
    ids = np.full((100, 100), 9)
    corrupted, chosen = mask_for_prediction(
        ids,
        probability=0.3,
        mask_id=4,
        vocab_size=1000,
        special_ids=[0, 1, 2, 3, 4],
        rng=np.random.default_rng(0),
    )
    assert abs(chosen.mean() - 0.3) < 0.02
    assert (corrupted[~chosen] == 9).all()
    assert abs((corrupted[chosen] == 4).mean() - 0.8) < 0.03
    assert abs((corrupted[chosen] == 9).mean() - 0.1) < 0.03
    assert corrupted.min() >= 4


def test_switching_follows_the_dictionary_both_ways(
    dictionary_file: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    switch = CodeSwitcher(read_dictionary(dictionary_file), tokenizer)
    book, shu, the = (tokenizer.convert_tokens_to_ids(t) for t in ("▁book", "书", "▁the"))
    rng = np.random.default_rng(0)
    switched = switch(np.array([[book, shu, the]]), probability=1.0, rng=rng)
    assert switched.tolist() == [[shu, book, the]]
    assert switch(switched, probability=0.0, rng=rng).tolist() == switched.tolist()
