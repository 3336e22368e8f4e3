"""Masking and code-switching."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast

from xlingual.pretraining import CodeSwitcher, read_dictionary
from xlingual.pretraining.noise import mask_for_prediction, mask_inputs, step_generator

SPECIAL = torch.arange(5)


def test_special_tokens_are_never_masked() -> None:
    ids = torch.tensor([[2, 9, 3, 0]]).expand(200, 4)
    rng = step_generator(0, 0, "cpu")
    masked = mask_inputs(ids, probability=0.5, mask_id=4, special_ids=SPECIAL, rng=rng)
    assert set(masked[:, 1].tolist()) == {4, 9}
    assert (masked[:, [0, 2, 3]] == ids[:, [0, 2, 3]]).all()


def test_prediction_masks_80_10_10() -> None:
    ids = torch.full((100, 100), 9)
    corrupted, chosen = mask_for_prediction(
        ids,
        probability=0.3,
        mask_id=4,
        vocab_size=1000,
        special_ids=SPECIAL,
        rng=step_generator(0, 0, "cpu"),
    )
    assert abs(chosen.float().mean() - 0.3) < 0.02
    assert (corrupted[~chosen] == 9).all()
    assert abs((corrupted[chosen] == 4).float().mean() - 0.8) < 0.03
    assert abs((corrupted[chosen] == 9).float().mean() - 0.1) < 0.03
    assert corrupted.min() >= 4


def test_switching_follows_the_dictionary_both_ways(
    dictionary_file: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    switch = CodeSwitcher(read_dictionary(dictionary_file), tokenizer)
    book, shu, the = (tokenizer.convert_tokens_to_ids(t) for t in ("▁book", "书", "▁the"))
    rng = step_generator(0, 0, "cpu")
    switched = switch(torch.tensor([[book, shu, the]]), probability=1.0, rng=rng)
    assert switched.tolist() == [[shu, book, the]]
    assert switch(switched, probability=0.0, rng=rng).tolist() == switched.tolist()


def test_draws_depend_on_seed_and_step_alone() -> None:
    draws = [torch.rand(4, generator=step_generator(*key, "cpu")) for key in ((1, 2), (2, 1))]
    again = torch.rand(4, generator=step_generator(1, 2, "cpu"))
    assert torch.equal(draws[0], again)
    assert not torch.equal(*draws)
