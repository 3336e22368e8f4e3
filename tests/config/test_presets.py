"""Presets by the size of the encoder, and epochs by the number of steps."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from xlingual.config.presets import enough_epochs, preset_for


@pytest.mark.parametrize(
    ("num_parameters", "name"),
    [
        (0, "tiny"),
        (10_000_000, "tiny"),  # the embedded encoder has some 7 million
        (21_000_000, "small"),  # MiniLM
        (86_000_000, "base"),  # BERT, XLM-R and mDeBERTa base
        (304_000_000, "large"),  # XLM-R-large
        (358_000_000, "very large"),  # Qwen2.5-0.5B
    ],
)
def test_presets_by_size(num_parameters: int, name: str) -> None:
    assert preset_for(num_parameters).name == name


@settings(deadline=None)
@given(st.integers(0, 10**10), st.integers(0, 10**10))
def test_larger_encoders_learn_slower(one: int, other: int) -> None:
    small, large = preset_for(min(one, other)), preset_for(max(one, other))
    assert small.learning_rate >= large.learning_rate
    assert small.adapter_learning_rate >= large.adapter_learning_rate
    assert large.adapter_learning_rate > large.learning_rate


@pytest.mark.parametrize(
    ("steps_per_epoch", "epochs"), [(0, 20), (1, 20), (19, 11), (100, 3), (10_000, 3), (0.5, 20)]
)
def test_few_steps_are_repeated(steps_per_epoch: float, epochs: float) -> None:
    assert enough_epochs(steps_per_epoch) == epochs


def test_the_most_epochs_may_be_raised() -> None:
    assert enough_epochs(1, most=float("inf")) == 200
