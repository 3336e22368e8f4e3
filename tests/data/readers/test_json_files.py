"""Rows inside a JSON document, and the ``#part`` that leads to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from xlingual.data.readers.loading import load_source
from xlingual.data.readers.sources import parse_sources
from xlingual.errors import DataError
from xlingual.tasks import get_task

TRAIN = [{"text": "早餐很丰富", "label": "1"}, {"text": "隔音不好", "label": "0"}]
TEST = [{"text": "位置方便", "label": "1"}]
BY_COLUMN = {"text": ["早餐很丰富", "隔音不好"], "label": ["1", "0"]}


def write(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    return path


def load(spec: object) -> list[dict[str, Any]]:
    (source,) = parse_sources(str(spec), default_name="source_train")
    loaded = load_source(source, task=get_task("sequence"))
    return [{"text": row["text"], "label": row["label"]} for row in loaded.dataset]


@pytest.mark.parametrize(
    ("document", "part"),
    [
        ({"train": TRAIN, "test": TEST}, "train"),
        ({"train": TRAIN, "test": TRAIN}, "train"),  # of one length: these are not columns
        ({"train": BY_COLUMN, "test": BY_COLUMN}, "train"),
        ({"data": {"train": TRAIN, "test": TEST}}, "data/train"),
        ({"版本": "1.0", "数据": {"训练": TRAIN, "测试": TEST}}, "数据/训练"),
        ({"a/b": TRAIN, "c": TEST}, "a/b"),
        ({"labels": [{"id": 0, "name": "negative"}], "data": TRAIN}, "data"),
    ],
)
def test_the_message_names_the_argument_that_works(
    tmp_path: Path, document: object, part: str
) -> None:
    path = write(tmp_path / "x.json", document)
    with pytest.raises(DataError, match="holds rows in several places") as error:
        load(path)
    assert f"{path}#{part}" in str(error.value)
    assert load(f"{path}#{part}") == TRAIN


@pytest.mark.parametrize(
    "document", [{"data": {"rows": TRAIN}}, {"x": 1, "data": {"v": BY_COLUMN}}]
)
def test_rows_in_one_place_need_no_part(tmp_path: Path, document: object) -> None:
    assert load(write(tmp_path / "x.json", document)) == TRAIN


def test_names_and_weights(tmp_path: Path) -> None:
    path = write(tmp_path / "x.json", {"train": TRAIN, "test": TEST})
    sources = parse_sources(f"{path}#train*0.5,zh={path}#test", default_name="source_train")
    assert [(one.name, one.part, one.weight) for one in sources] == [
        ("x_train", "train", 0.5),
        ("zh", "test", 1.0),
    ]
    assert str(sources[0]) == f"{path}#train"


def test_a_file_whose_name_has_a_hash(tmp_path: Path) -> None:
    path = write(tmp_path / "c#.json#train", TRAIN)
    (source,) = parse_sources(str(path), default_name="source_train")
    assert (source.path, source.part) == (str(path), None)
    other = write(tmp_path / "c#.json", {"train": TEST, "test": TRAIN})
    assert load(f"{other}#test") == TRAIN
    path.unlink()
    assert load(f"{other}#train") == TEST


def test_parts_that_are_not_there(tmp_path: Path) -> None:
    path = write(tmp_path / "x.json", {"data": {"train": TRAIN, "test": TEST}})
    with pytest.raises(
        DataError, match=r"no 'trian' \(did you mean 'data/train'\?\).*'train', 'test'"
    ):
        load(f"{path}#data/trian")
    with pytest.raises(DataError, match="no 'train'; its keys are 'data'"):
        load(f"{path}#train")
    with pytest.raises(DataError, match=r"no 'text'.*there are no keys"):
        load(f"{path}#data/train/text")
    with pytest.raises(DataError, match=r"x\.json#data: holds|several places"):
        load(f"{path}#data")
    with pytest.raises(DataError, match="does not exist"):
        load(f"{tmp_path}/nothing.json#train")


def test_files_without_parts(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("text,label\n好,1\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"only \.json and \.xlsx files have parts"):
        load(f"{tmp_path}/x.csv#train")
    lines = tmp_path / "lines.json"
    lines.write_text("".join(json.dumps(row) + "\n" for row in TRAIN), encoding="utf-8")
    with pytest.raises(DataError, match="JSON Lines, which have no parts; leave out '#train'"):
        load(f"{lines}#train")
