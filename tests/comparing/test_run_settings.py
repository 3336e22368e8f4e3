"""The settings and files that the runs of a comparison get."""

from __future__ import annotations

from pathlib import Path

from xlingual import DataArguments, TransferArguments, load_transfer_data
from xlingual.comparing import changed_settings, embedded_roles, sample_unlabeled


def test_what_is_passed_on_and_what_is_not(tmp_path):
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
