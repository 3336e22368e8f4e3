"""Which methods are compared, and what their runs are told."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from xlingual import DataArguments, TransferArguments, load_transfer_data
from xlingual.comparing import (
    changed_settings,
    choose_methods,
    embedded_roles,
    sample_unlabeled,
)
from xlingual.config.methods import CompareArguments
from xlingual.errors import ConfigError


def test_methods_by_what_the_data_allows():
    known = {"zero_shot": (), "coral": ("target_unlabeled",), "dann": ("target_unlabeled",)}
    choose = partial(choose_methods, CompareArguments())
    assert choose({"source_train"}, known=known) == ["zero_shot"]
    given = {"source_train", "target_unlabeled"}
    assert choose(given, known=known) == ["zero_shot", "coral"]
    asked = partial(choose_methods, CompareArguments(methods="dann, zero_shot"))
    assert asked(given, known=known) == ["zero_shot", "dann"]
    with pytest.raises(ConfigError, match="dann needs --target_unlabeled"):
        asked({"source_train"}, known=known)
    with pytest.raises(ConfigError, match="takes zero_shot, coral, dann; got 'magic'"):
        choose_methods(CompareArguments(methods="magic"), given, known=known)
    with pytest.raises(ConfigError, match="--seeds"):
        CompareArguments(seeds=[1, 1])


def test_what_is_handed_on_and_what_is_not(tmp_path):
    args = TransferArguments(
        output_dir=str(tmp_path), seed=5, learning_rate=1e-3, hub_token="hf_secret",
        selection="source_dev", max_length=64,
    )  # fmt: skip
    expected = {"learning_rate": 1e-3, "selection": "source_dev", "max_length": 64}
    assert changed_settings(args) == expected


def test_the_embedded_corpus_as_files():
    roles = embedded_roles()
    assert all(Path(path).is_file() for path in roles.values())
    data = load_transfer_data(DataArguments(**roles), use=["source_train", "target_unlabeled"])
    ((name, rows),) = sample_unlabeled(data, num_rows=7).items()
    assert [name] == list(data.target_unlabeled)
    assert len(set(rows["text"])) == 7
