"""Atomic writes: an output is complete or absent, whatever happens in between."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from xlingual.errors import DataError, OutputError
from xlingual.writing import check_empty, new_file, new_folder, write_errors, write_json


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def break_off(path: Path, error: Exception) -> None:
    path.write_text("half")
    raise error


def test_a_file_that_breaks_off_leaves_the_old_one(tmp_path):
    path = tmp_path / "结果.json"
    write_json(path, {"准确率": 0.7})
    assert path.read_text("utf-8") == '{\n  "准确率": 0.7\n}\n', "UTF-8, and no escapes"
    with pytest.raises(TypeError):
        write_json(path, {"值": object()})
    with pytest.raises(OSError, match="disk"), new_file(path) as beside:
        break_off(beside, OSError("disk"))
    assert json.loads(path.read_text("utf-8")) == {"准确率": 0.7}
    assert names(tmp_path) == ["结果.json"]


def test_a_folder_appears_when_it_is_whole(tmp_path):
    output = tmp_path / "below" / "out"
    with new_folder(output) as beside:
        (beside / "one").write_text("1")
        assert not output.exists()
    assert names(output) == ["one"]
    assert names(tmp_path / "below") == ["out"]
    with pytest.raises(DataError), new_folder(tmp_path / "other") as beside:
        break_off(beside / "half", DataError("no rows"))
    assert names(tmp_path) == ["below"]


def test_a_folder_with_files_is_replaced_when_that_is_asked_for(tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    (output / "mine").write_text("1")
    with pytest.raises(OutputError, match="out cannot be written"), new_folder(output):
        pass
    assert names(output) == ["mine"]
    with new_folder(output, replace=True) as beside:
        (beside / "new").write_text("2")
    assert names(output) == ["new"]
    assert names(tmp_path) == ["out"]


def test_what_a_killed_process_left_is_removed(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])  # its number is nobody's once it is reaped
    dead.wait()
    for number in (dead.pid, os.getppid()):
        (tmp_path / f".out.{number}.part").mkdir()
    with new_folder(tmp_path / "out"):
        pass
    assert names(tmp_path) == [f".out.{os.getppid()}.part", "out"]


def test_what_holds_something_is_refused(tmp_path):
    check_empty(tmp_path)
    check_empty(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    for output in (tmp_path, tmp_path / "file"):
        with pytest.raises(OutputError, match="is not an empty folder"):
            check_empty(output)


def test_only_writers_are_taken_for_a_full_disk(tmp_path):
    with pytest.raises(RuntimeError, match="shapes"), write_errors(tmp_path):
        raise RuntimeError("shapes differ")
    with (
        pytest.raises(OutputError, match=r"cannot be written \(\[Errno 28\].*; buy a disk"),
        write_errors(tmp_path, advice="buy a disk"),
    ):
        raise OSError(28, "No space left on device")
    with pytest.raises(OutputError, match="unexpected pos 64"), write_errors(tmp_path):
        raise RuntimeError("[enforce fail at inline_container.cc] unexpected pos 64 vs 0")
