"""Files without a header line."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from xlingual.data.readers.columns import Columns
from xlingual.data.readers.loading import LoadedData, load_source
from xlingual.data.readers.sources import parse_sources
from xlingual.errors import ColumnError
from xlingual.tasks import get_task

ROWS = [("房间太吵，睡不好", "0"), ("早餐很丰富，推荐", "1"), ("前台热情", "1"), ("隔音不好", "0")]


def load(
    path: Path, *, task: str = "sequence", labels: str = "required", **columns: Any
) -> LoadedData:
    (source,) = parse_sources(str(path), default_name="target_test")
    return load_source(source, task=get_task(task), columns=Columns(**columns), labels=labels)  # type: ignore[arg-type]


def write(path: Path, rows: list[tuple[str, ...]], delimiter: str, encoding: str = "utf-8") -> Path:
    content = "".join(delimiter.join(row) + "\n" for row in rows).encode(encoding)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gbk"])
@pytest.mark.parametrize(
    ("name", "delimiter"), [("x.tsv", "\t"), ("x.csv", ","), ("x.csv", "\t"), ("x.tsv.gz", "\t")]
)
def test_a_missing_header_is_said_and_the_flag_reads_every_row(
    tmp_path: Path, name: str, delimiter: str, encoding: str
) -> None:
    path = write(tmp_path / name, ROWS, delimiter, encoding)
    with pytest.raises(ColumnError, match=r"seems to have no header.*--columns text,label"):
        load(path)
    loaded = load(path, columns="text,label")
    assert [(row["text"], row["label"]) for row in loaded.dataset] == ROWS
    assert not loaded.rejected


@pytest.mark.parametrize(
    ("rows", "names"),
    [
        ([("太吵", "negative"), ("安静", "positive"), ("很吵", "negative")], "text,label"),
        (
            [("1", "太吵，没睡好", "差评"), ("2", "很安静", "好评"), ("3", "有味道", "差评")],
            "column_1,text,label",
        ),
        ([("0", "the room was noisy."), ("1", "quiet"), ("0", "far away")], "label,text"),
        ([("1", "太吵", "1"), ("2", "安静", "0")], "text,label"),  # a name stands twice
        ([("房间隔音不好，晚上睡不着。",), ("前台态度很差。",)], "text"),
    ],
)
def test_how_a_missing_header_shows(
    tmp_path: Path, rows: list[tuple[str, ...]], names: str
) -> None:
    with pytest.raises(ColumnError, match=rf"no header.*--columns.* {names}$"):
        load(
            write(tmp_path / "x.tsv", rows, "\t"), labels="required" if len(rows[0]) > 1 else "drop"
        )


@pytest.mark.parametrize(
    "header", ["foo,bar", "opinion,verdict", "序号,看法", "text,verdict", "review,2020"]
)
def test_a_header_with_other_names_is_a_header(tmp_path: Path, header: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(f"{header}\n太吵,差\n安静,好\n", encoding="utf-8")
    with pytest.raises(ColumnError, match="usual name") as error:
        load(path)
    assert "no header" not in str(error.value)


def test_one_flag_serves_files_with_and_without_a_header(tmp_path: Path) -> None:
    with_header = write(tmp_path / "a.csv", [("label", "text"), ("1", "很好")], ",")
    usual = write(tmp_path / "b.csv", [("评论", "标签"), ("很好", "1")], ",")
    lines = tmp_path / "c.txt"
    lines.write_text("很好\n不错\n", encoding="utf-8")
    for path in (with_header, usual):
        assert load(path, columns="text,label").dataset[0]["text"] == "很好"
    assert len(load(lines, columns="text,label", labels="drop").dataset) == 2


def test_names_that_are_more_or_fewer_than_the_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tsv", ROWS, "\t")
    with pytest.raises(ColumnError, match=r"--columns names 3 columns .*first line has 2"):
        load(path, columns="id,text,label")


def test_lines_with_tabs(tmp_path: Path) -> None:
    path = write(tmp_path / "x.txt", ROWS, "\t")
    with pytest.raises(ColumnError, match=r"holds tabs.*--columns text,label"):
        load(path)
    assert load(path, columns="text,label").dataset["label"][:] == ["0", "1", "1", "0"]


def test_a_single_column_may_hold_any_delimiter(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("太吵；没睡好; 不来了\n很好\n", encoding="utf-8")
    loaded = load(path, columns="text", labels="drop")
    assert loaded.dataset["text"][:] == ["太吵；没睡好; 不来了", "很好"]
