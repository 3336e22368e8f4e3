"""Batches: stateless, of one length, in proportion to the weights, and never held-out pairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from xlingual.errors import ConfigError
from xlingual.pretraining import Bitext, EncodedCorpus, encode_bitexts, read_bitext, split_held_out


@pytest.fixture(scope="module")
def bitext(bitext_file: Path) -> Bitext:
    return read_bitext(bitext_file)


@pytest.fixture(scope="module")
def corpus(bitext: Bitext, tokenizer: PreTrainedTokenizerFast) -> EncodedCorpus:
    return encode_bitexts([bitext], tokenizer)


def test_a_batch_depends_on_seed_and_step_alone(corpus: EncodedCorpus) -> None:
    one = corpus.draw(7, batch_size=16, seed=1)[0]
    corpus.draw(8, batch_size=16, seed=1)
    again = corpus.draw(7, batch_size=16, seed=1)[0]
    other = corpus.draw(7, batch_size=16, seed=2)[0]
    assert one.tolist() == again.tolist()
    assert one.tolist() != other.tolist()


def test_a_batch_is_of_like_lengths(corpus: EncodedCorpus) -> None:
    lengths = corpus.tokens.lengths
    batches = [corpus.draw(step, batch_size=8, seed=0)[0] for step in range(20)]
    spreads = [np.ptp(lengths[english]) for english in batches]
    assert np.mean(spreads) < np.ptp(lengths[corpus.english])


def test_sources_are_drawn_by_weight_and_not_by_size(tokenizer: PreTrainedTokenizerFast) -> None:
    big = Bitext("big", ["I like the room."] * 300, ["我喜欢房间。"] * 300)
    small = Bitext("small", ["you buy the car."] * 30, ["你买汽车。"] * 30)
    corpus = encode_bitexts([big, small], tokenizer, source_weights={"big": 1, "small": 3})
    share = np.diff(corpus.cumulative, prepend=0.0)[corpus.english == 1].sum()
    assert share == pytest.approx(0.75)


def test_pair_weights_count_inside_a_source(tokenizer: PreTrainedTokenizerFast) -> None:
    bitext = Bitext("d", ["room", "car"], ["房间", "汽车"], pair_weights=[9.0, 1.0])
    corpus = encode_bitexts([bitext], tokenizer)
    share = np.diff(corpus.cumulative, prepend=0.0)[corpus.english == 0].sum()
    assert share == pytest.approx(0.9)


def test_unknown_source_weights_are_refused(
    bitext: Bitext, tokenizer: PreTrainedTokenizerFast
) -> None:
    with pytest.raises(ConfigError, match="nonsense"):
        encode_bitexts([bitext], tokenizer, source_weights={"nonsense": 1.0})


def test_no_held_out_sentence_is_trained_on(bitext: Bitext) -> None:
    train, held_out = split_held_out(bitext, size=20)
    assert len(held_out) == 20
    assert not set(train.english) & set(held_out.english)
    assert not set(train.chinese) & set(held_out.chinese)
