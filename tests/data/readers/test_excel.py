from __future__ import annotations

import datetime
import sys
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from xlingual.data.readers.columns import Columns
from xlingual.data.readers.excel import open_excel
from xlingual.data.readers.loading import load_source
from xlingual.data.readers.sources import parse_sources
from xlingual.errors import ColumnError, DataError, MissingDependencyError
from xlingual.tasks import get_task

ROWS = [["评论", "评分"], ["早餐很丰富", 5], ["隔音不好", 1.0], ["还可以", 3.5]]


def write(path: Path, **sheets: list[list[Any]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def load(spec: object, **columns: Any) -> list[tuple[str, str]]:
    (source,) = parse_sources(str(spec), default_name="target_test")
    loaded = load_source(source, task=get_task("sequence"), columns=Columns(**columns))
    return [(row["text"], row["label"]) for row in loaded.dataset]


def test_rows_of_a_workbook_are_those_of_its_csv(tmp_path: Path) -> None:
    path = write(tmp_path / "酒店.xlsx", Sheet1=ROWS)
    found = load(path)
    assert found == [("早餐很丰富", "5"), ("隔音不好", "1"), ("还可以", "3.5")]
    csv = tmp_path / "x.csv"
    csv.write_text("评论,评分\n早餐很丰富,5\n隔音不好,1.0\n还可以,3.5\n", encoding="utf-8")
    assert found == load(csv)


def test_kinds_of_cells(tmp_path: Path) -> None:
    day = datetime.datetime(2024, 5, 1)
    row = ["好", day, day.replace(hour=8, minute=30), 12, 0.25, True, None, datetime.time(7, 5)]
    names = ["text", "day", "time", "number", "share", "flag", "empty", "clock"]
    table = open_excel(str(write(tmp_path / "x.xlsx", S=[names, row])))
    (found,) = table.read(())
    assert list((found.values or {}).values()) == [
        "好", "2024-05-01", "2024-05-01 08:30:00", "12", "0.25", "true", "", "07:05:00",
    ]  # fmt: skip


def test_blank_rows_are_passed_over_and_wide_ones_rejected(tmp_path: Path) -> None:
    rows = [[], ["text", "label", None], ["好", 1], [None, None], ["坏", 0, "extra"], ["行"]]
    table = open_excel(str(write(tmp_path / "x.xlsx", S=rows)))
    assert table.columns == ("text", "label")
    found = list(table.read(()))
    assert [(row.number, row.problem) for row in found] == [
        (3, ""), (5, "3 cells where the header has 2"), (6, ""),
    ]  # fmt: skip
    assert found[2].values == {"text": "行", "label": ""}


def test_a_sheet_is_chosen_by_its_name(tmp_path: Path) -> None:
    second = [["text", "label"], ["很好", "pos"]]
    path = write(tmp_path / "x.xlsx", 训练=ROWS, **{"测试 2": second})
    assert len(load(path)) == 3
    assert load(f"{path}#测试 2*0.5") == [("很好", "pos")]
    with pytest.raises(
        DataError, match=r"no sheet '测试'; its sheets: 训练, 测试 2; did you mean x"
    ):
        load(f"{path}#测试")


def test_a_sheet_without_a_header(tmp_path: Path) -> None:
    path = write(tmp_path / "x.xlsx", S=[["房间太吵，睡不好", 0], ["早餐很丰富", 1], ["很好", 1]])
    with pytest.raises(ColumnError, match=r"seems to have no header.*--columns text,label"):
        load(path)
    assert len(load(path, columns="text,label")) == 3


def test_workbooks_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "x.xlsx").write_bytes(b"\xd0\xcf\x11\xe0 protected by a password")
    with pytest.raises(DataError, match=r"x\.xlsx cannot be read as an Excel workbook.*password"):
        load(tmp_path / "x.xlsx")
    with pytest.raises(DataError, match="'S' is empty"):
        load(write(tmp_path / "y.xlsx", S=[]))
    for name in ("x.xls", "x.ods"):
        (tmp_path / name).write_bytes(b"\xd0\xcf\x11\xe0")
        with pytest.raises(DataError, match=r"save it as \.xlsx, or as CSV"):
            load(tmp_path / name)
    (tmp_path / "x.csv").write_bytes((tmp_path / "y.xlsx").read_bytes())
    with pytest.raises(DataError, match=r"if it is a workbook, name it \.xlsx"):
        load(tmp_path / "x.csv")


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "x.xlsx", S=ROWS)
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "xlingual\[excel\]"'):
        load(path)
