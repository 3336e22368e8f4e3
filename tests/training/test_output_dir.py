"""The folder of a run: when it is taken, when it is refused, and which checkpoint is resumed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from xlingual import TransferArguments, prepare_output_dir
from xlingual.errors import ConfigError, OutputError


def arguments(folder: Path | str, **settings: object) -> TransferArguments:
    return TransferArguments(output_dir=str(folder), **settings)


def test_a_new_folder_is_made(tmp_path) -> None:
    assert prepare_output_dir(arguments(tmp_path / "深" / "处")) is None
    assert (tmp_path / "深" / "处").is_dir()


def test_an_empty_folder_or_one_with_rejected_rows_is_taken(tmp_path) -> None:
    assert prepare_output_dir(arguments(tmp_path)) is None
    (tmp_path / "rejected_rows.jsonl").write_text("{}\n", encoding="utf-8")
    assert prepare_output_dir(arguments(tmp_path)) is None


def test_a_file_is_no_folder(tmp_path) -> None:
    (tmp_path / "model").write_text("x", encoding="utf-8")
    with pytest.raises(OutputError, match="is a file; give a folder"):
        prepare_output_dir(arguments(tmp_path / "model"))
    with pytest.raises(OutputError, match="cannot be created"):
        prepare_output_dir(arguments(tmp_path / "model" / "below"))


def test_nothing_is_overwritten_unasked(tmp_path) -> None:
    (tmp_path / "all_results.json").write_text("旧的", encoding="utf-8")
    with pytest.raises(OutputError) as caught:
        prepare_output_dir(arguments(tmp_path))
    message = str(caught.value)
    assert "is not empty, and nothing is overwritten unasked" in message
    assert "--resume_from_checkpoint true" in message
    assert "--overwrite_output true" in message
    assert (tmp_path / "all_results.json").read_text(encoding="utf-8") == "旧的"


def test_overwriting_removes_old_checkpoints_alone(tmp_path) -> None:
    """A checkpoint of an earlier run would be taken for one of this run."""
    (tmp_path / "checkpoint-7").mkdir()
    (tmp_path / "笔记.txt").write_text("留着", encoding="utf-8")
    assert prepare_output_dir(arguments(tmp_path, overwrite_output=True)) is None
    assert {path.name for path in tmp_path.iterdir()} == {"笔记.txt"}


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 0)() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written(tmp_path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="cannot be written; check its permissions"):
            prepare_output_dir(arguments(tmp_path))
        with pytest.raises(OutputError, match="cannot be created"):
            prepare_output_dir(arguments(tmp_path / "below"))
    finally:
        tmp_path.chmod(0o700)


def test_a_folder_that_says_it_cannot_be_written(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(OutputError, match="cannot be written; check its permissions"):
        prepare_output_dir(arguments(tmp_path))


def checkpoint(folder: Path, step: int) -> Path:
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "trainer_state.json").write_text(json.dumps({"global_step": step}), encoding="utf-8")
    for name in ("model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth"):
        (path / name).write_bytes(b"x")
    return path


def test_resuming_takes_the_last_checkpoint(tmp_path) -> None:
    for step in (9, 100, 20):
        checkpoint(tmp_path, step)
    for value in ("true", "True"):
        args = arguments(tmp_path, resume_from_checkpoint=value)
        assert prepare_output_dir(args) == str(tmp_path / "checkpoint-100")
    assert len(list(tmp_path.iterdir())) == 3


def test_resuming_from_a_checkpoint_that_is_named(tmp_path) -> None:
    path = str(checkpoint(tmp_path, 9))
    checkpoint(tmp_path, 20)
    assert prepare_output_dir(arguments(tmp_path, resume_from_checkpoint=path)) == path


def test_resuming_before_the_first_checkpoint_begins_anew(tmp_path) -> None:
    (tmp_path / "runs.log").write_text("killed", encoding="utf-8")
    assert prepare_output_dir(arguments(tmp_path, resume_from_checkpoint="true")) is None


def test_resuming_wins_over_overwriting(tmp_path) -> None:
    path = checkpoint(tmp_path, 3)
    args = arguments(tmp_path, resume_from_checkpoint="true", overwrite_output=True)
    assert prepare_output_dir(args) == str(path)
    assert path.exists()


def test_a_checkpoint_that_is_not_there(tmp_path) -> None:
    args = arguments(tmp_path, resume_from_checkpoint=str(tmp_path / "checkpoint-5"))
    with pytest.raises(ConfigError, match=r"checkpoint-5: expected true, or a checkpoint-N folder"):
        prepare_output_dir(args)
