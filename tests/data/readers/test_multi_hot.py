"""Several labels a row, as columns of 0 and 1 or as lists of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from xlingual.data.readers.columns import Columns
from xlingual.data.readers.loading import LoadedData, load_source
from xlingual.data.readers.sources import parse_sources
from xlingual.errors import ColumnError, ConfigError, DataError
from xlingual.tasks import get_task

NAMES = "service,clean,price"
WANTED = [["clean", "price"], [], ["service"]]
TEXTS = ["房间干净，价格也不贵", "没什么特别的", "前台热情"]


def load(path: Path, *, task: str = "multi_label", **options: Any) -> LoadedData:
    (source,) = parse_sources(str(path), default_name="target_test")
    extra = {key: options.pop(key) for key in ("label_map", "labels") if key in options}
    return load_source(source, task=get_task(task), columns=Columns(**options), **extra)


def write_csv(path: Path, header: str, *rows: str) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def write_lists(path: Path, *labels: object) -> Path:
    rows = zip(TEXTS, labels, strict=True)
    lines = [json.dumps({"text": text, "labels": value}) + "\n" for text, value in rows]
    path.write_text("".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "cells",
    [
        ("0,1,1", "0,0,0", "1,0,0"),
        ("false,TRUE,true", "False,false,FALSE", "true,false,false"),
        ("0.0,1.0,1.0", "0,0.0,0", "1,0,0"),
        ("否,是,是", "否,否,否", "是,否,否"),
    ],
)
def test_a_column_for_each_label(tmp_path: Path, cells: tuple[str, ...]) -> None:
    rows = [f"{text},{flags}" for text, flags in zip(TEXTS, cells, strict=True)]
    path = write_csv(tmp_path / "x.csv", f"text,{NAMES}", *rows)
    assert load(path, label_columns=NAMES).dataset["labels"][:] == WANTED
    renamed = load(path, label_columns=NAMES, label_map={"clean": "干净"}).dataset["labels"][:]
    assert renamed[0] == ["干净", "price"]
    assert load(path, label_columns=NAMES, labels="drop").dataset["labels"][:] == [None] * 3


def test_cells_that_are_no_flag(tmp_path: Path) -> None:
    rows = ["a,0,1,1", "b,,,", "c,0,,1", "d,0,5,1"]
    loaded = load(write_csv(tmp_path / "x.csv", f"text,{NAMES}", *rows), label_columns=NAMES)
    assert [row["reason"] for row in loaded.rejected] == [
        "no label",
        "the label column 'clean' holds nothing, not 0 or 1",
        "the label column 'clean' holds '5', not 0 or 1",
    ]


@pytest.mark.parametrize("task", ["multi_label", "sequence"])
def test_label_columns_are_noticed(tmp_path: Path, task: str) -> None:
    path = write_csv(tmp_path / "x.csv", f"text,id,{NAMES}", "好,7,0,1,1", "坏,8,1,0,0")
    with pytest.raises(ColumnError, match=f"--task multi_label --label_columns {NAMES}"):
        load(path, task=task)


def test_label_columns_that_are_not_there(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "x.csv", f"text,{NAMES}", "好,0,1,1")
    with pytest.raises(ColumnError, match=r"'clen', which the file lacks \(did you mean 'clean'"):
        load(path, label_columns="service,clen,price")
    other = write_lists(tmp_path / "x.jsonl", ["clean", "price"], [], ["service"])
    assert load(other, label_columns=NAMES).dataset["labels"][:] == WANTED


@pytest.mark.parametrize(
    "lists",
    [
        ([0, 1, 1], [0, 0, 0], [1, 0, 0]),
        ("[0, 1, 1]", "[0 0 0]", "1|0|0"),
        ([False, True, True], [0.0, 0.0, 0.0], ["1", "0", "0"]),
    ],
)
def test_a_list_as_long_as_the_label_space(tmp_path: Path, lists: tuple[object, ...]) -> None:
    path = write_lists(tmp_path / "x.jsonl", *lists)
    with pytest.raises(DataError, match=r"lists of 0 and 1.*3 labels.*--label_names"):
        load(path)
    assert load(path, label_names=NAMES).dataset["labels"][:] == WANTED


def test_lists_of_names_and_of_another_length(tmp_path: Path) -> None:
    path = write_lists(tmp_path / "x.jsonl", [0, 1], ["price"], [1, 0, 0])
    loaded = load(path, label_names=NAMES)
    assert loaded.dataset["labels"][:] == [["price"], ["service"]]
    assert loaded.rejected[0]["reason"] == "2 label values where --label_names has 3 names"


def test_ids_are_no_lists_of_flags(tmp_path: Path) -> None:
    path = write_lists(tmp_path / "x.jsonl", [0, 1], [1], [0])
    assert load(path).dataset["labels"][:] == [["0", "1"], ["1"], ["0"]]


def test_settings_that_contradict(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--label_columns and --label_names exclude"):
        Columns(label_columns="a,b", label_names="a,b")
    with pytest.raises(ConfigError, match="--label_columns and --label_column exclude"):
        Columns(label_columns="a,b", label_column="c")
    with pytest.raises(ConfigError, match="--columns names 'a' more than once"):
        Columns(columns="a,b,a")
    path = write_csv(tmp_path / "x.csv", "text,a,b", "好,0,1")
    with pytest.raises(ConfigError, match="--label_columns is for --task multi_label"):
        load(path, task="sequence", label_columns="a,b")
