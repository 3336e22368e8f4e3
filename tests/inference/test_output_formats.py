"""Predictions as csv, tsv, parquet and xlsx: the same rows, whatever the format can hold."""

from __future__ import annotations

import csv
import json
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pyarrow.parquet as pq
import pytest

from xlingual import cli
from xlingual.errors import ConfigError, MissingDependencyError, OutputError
from xlingual.inference import Predictor, output_formats, predict_file

LABELS = ("差评", "好评")
ROWS: list[dict[str, Any]] = [
    {"编号": "007", "text": "房间很干净，\n下次还来", "备注": {"来源": ["網站"], "价格": 1.5}},
    {"编号": "008", "text": '老板说"没问题"', "备注": {}},
    {"编号": "009", "text": "=1+1", "备注": None},
    {"编号": "010", "text": None, "备注": None},
    {"编号": "011", "text": "Great\tWiFi，很快", "备注": None, "夜": 3},
]
ADDED = ["prediction", "probability", "prediction_error"]


def lengths(batch: dict[str, np.ndarray]) -> np.ndarray:
    """Logits that differ from row to row."""
    size = batch["attention_mask"].sum(axis=1, dtype="float32")
    return np.stack([np.sin(size), np.cos(size)], axis=1)


@pytest.fixture
def predictor(tokenizer) -> Predictor:
    return Predictor(lengths, tokenizer, label_names=LABELS)


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text("".join(lines), encoding="utf-8")
    return path


def read_csv(path: Path, delimiter: str = ",", encoding: str = "utf-8") -> list[dict[str, str]]:
    with path.open(encoding=encoding, newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def read_xlsx(path: Path) -> list[dict[str, Any]]:
    header, *rows = openpyxl.load_workbook(path).active.iter_rows(values_only=True)
    return [dict(zip(header, row, strict=True)) for row in rows]


@pytest.fixture
def expected(predictor, tmp_path) -> list[dict[str, Any]]:
    source = write(tmp_path / "in.jsonl", ROWS)
    predict_file(predictor, source, tmp_path / "expected.jsonl")
    lines = (tmp_path / "expected.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize(("ending", "delimiter"), [("csv", ","), ("tsv", "\t"), ("TAB", "\t")])
def test_delimited(predictor, expected, tmp_path, ending, delimiter) -> None:
    target = tmp_path / f"out.{ending}"
    predict_file(predictor, tmp_path / "in.jsonl", target, chunk_rows=2)
    found = read_csv(target, delimiter)
    assert list(found[0]) == ["编号", "text", "备注", "夜", *ADDED]
    for row, other in zip(found, expected, strict=True):
        for name in ("编号", "text", "夜", "prediction", "probability"):
            value = other.get(name)
            assert row[name] == ("" if value is None else str(value)), name
    assert json.loads(found[0]["备注"]) == ROWS[0]["备注"]
    assert found[3]["prediction_error"] == "row 4: no text"
    assert not target.read_bytes().startswith(b"\xef\xbb\xbf")
    assert not [path for path in tmp_path.iterdir() if "part" in path.name or "new" in path.name]


def test_a_byte_order_mark_on_request(predictor, expected, tmp_path) -> None:
    predict_file(predictor, tmp_path / "in.jsonl", tmp_path / "out.csv", bom=True)
    assert (tmp_path / "out.csv").read_bytes().startswith("\ufeff编号,text".encode())
    assert read_csv(tmp_path / "out.csv", encoding="utf-8-sig")[0]["编号"] == "007"


def test_a_csv_of_predictions_is_predicted_again(predictor, expected, tmp_path) -> None:
    """Our own reader takes what was written, quotes, line breaks and all."""
    for name in ("a.csv", "a.tsv", "a.parquet"):
        predict_file(predictor, tmp_path / "in.jsonl", tmp_path / name)
        predict_file(predictor, tmp_path / name, tmp_path / f"{name}.jsonl")
        lines = (tmp_path / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        for line, other in zip(lines, expected, strict=True):
            row = json.loads(line)
            assert (row["text"] or None) == other["text"], name
            assert row["xlingual_prediction"] == other["prediction"], name


def test_parquet(predictor, expected, tmp_path) -> None:
    target = tmp_path / "out.parquet"
    predict_file(predictor, tmp_path / "in.jsonl", target, chunk_rows=2, with_probabilities=True)
    found = pq.read_table(target).to_pylist()
    assert list(found[0]) == [
        "编号", "text", "备注", "夜", "prediction", "probability", "probabilities",
        "prediction_error",
    ]  # fmt: skip
    for row, other in zip(found, expected, strict=True):
        for name in ("编号", "text", "夜", "prediction", "probability"):
            assert row[name] == other.get(name), name
    assert set(found[0]["probabilities"]) == {*LABELS}
    assert found[3]["probabilities"] is None


def test_parquet_of_columns_with_several_types(predictor, tmp_path) -> None:
    values = [1, 2.5, "三", None, True, ["a"], {"b": 1}, {}, 2**70]
    rows = [{"text": "很好", "mixed": value, "object": {}, "empty": None} for value in values]
    target = tmp_path / "out.parquet"
    predict_file(predictor, write(tmp_path / "in.jsonl", rows), target, chunk_rows=2)
    found = pq.read_table(target).to_pylist()
    read = [row["mixed"] for row in found]
    assert read == [
        "1", "2.5", "三", None, "true", '["a"]', '{"b": 1}', "{}", str(2**70)
    ]  # fmt: skip
    assert {row["object"] for row in found} == {"{}"}
    assert {row["empty"] for row in found} == {None}


def test_numbers_stay_numbers_over_chunks(predictor, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(output_formats, "_CHUNK_ROWS", 2)
    values = [None, None, 1, 2, 0.5, None, 7]
    rows = [{"text": "很好", "stars": value} for value in values]
    predict_file(predictor, write(tmp_path / "in.jsonl", rows), tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.column("stars").to_pylist() == values
    assert str(table.schema.field("stars").type) == "double"


def test_xlsx(predictor, expected, tmp_path) -> None:
    target = tmp_path / "out.xlsx"
    predict_file(predictor, tmp_path / "in.jsonl", target, with_probabilities=True)
    found = read_xlsx(target)
    by_label = [f"probability_{name}" for name in LABELS]
    assert list(found[0]) == ["编号", "text", "备注", "夜", *ADDED, *by_label]
    for row, other in zip(found, expected, strict=True):
        for name in ("编号", "text", "夜", "prediction", "probability"):
            assert row[name] == other.get(name), name
    assert sum(found[0][name] for name in by_label) == pytest.approx(1, abs=1e-5)
    assert found[3][by_label[0]] is None
    sheet = openpyxl.load_workbook(target).active
    assert sheet["B4"].data_type == "s", "a text that begins with = is no formula"
    assert sheet.freeze_panes == "A2"


def test_a_sheet_keeps_what_it_can(predictor, tmp_path) -> None:
    """Identifiers keep their digits; what a sheet cannot hold is left out or cut."""
    rows = [
        {"text": "很好", "id": 123456789012345678, "n": 12, "ok": True, "s": "#N/A", "x": None},
        {"text": "好" * 40_000, "id": 1, "n": 1, "ok": False, "s": "a\u0007b", "x": float("nan")},
    ]
    predict_file(predictor, write(tmp_path / "in.jsonl", rows), tmp_path / "out.xlsx")
    first, second = read_xlsx(tmp_path / "out.xlsx")
    assert (first["id"], first["n"], first["ok"], first["s"]) == (
        "123456789012345678", 12, True, "#N/A"
    )  # fmt: skip
    assert (second["s"], second["x"]) == ("ab", "nan")
    assert second["text"] == "好" * 32_767


def test_a_sheet_that_is_too_small_leaves_the_rows(predictor, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(output_formats, "_MAX_SHEET_ROWS", 3)
    source = write(tmp_path / "in.jsonl", ROWS)
    with pytest.raises(OutputError, match=r"holds 2 rows.* or \.parquet; .*part holds all 5 rows"):
        predict_file(predictor, source, tmp_path / "out.xlsx")
    assert (tmp_path / "out.xlsx.part").read_bytes().count(b"\n") == 5


def test_several_labels_are_joined_as_they_are_read(tokenizer, tmp_path) -> None:
    several = Predictor(
        lambda batch: 5 * lengths(batch), tokenizer, label_names=LABELS, task="multi_label"
    )
    rows = [{"text": "好" * number} for number in range(1, 9)]
    source = write(tmp_path / "in.jsonl", rows)
    predict_file(several, source, tmp_path / "out.csv")
    found = {row["prediction"] for row in read_csv(tmp_path / "out.csv")}
    assert found == {"", "差评", "好评", "差评|好评"}
    both = next(r for r in read_csv(tmp_path / "out.csv") if "|" in r["prediction"])
    assert all(float(part) > 0.5 for part in both["probability"].split("|"))


def test_bytes_of_no_encoding_end_no_format(predictor, tmp_path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"text": "很好", "note": "\\ud83d坏"}\n', encoding="utf-8")
    for ending in ("csv", "parquet", "xlsx"):
        predict_file(predictor, source, tmp_path / f"out.{ending}")
    assert read_csv(tmp_path / "out.csv")[0]["note"] == "?坏"
    assert read_xlsx(tmp_path / "out.xlsx")[0]["note"] == "?坏"


def test_columns_of_the_input_are_never_overwritten(predictor, tmp_path) -> None:
    rows = [{"text": "很好", "prediction": "by hand", "probability_好评": "sure"}]
    target = tmp_path / "out.csv"
    predict_file(predictor, write(tmp_path / "in.jsonl", rows), target, with_probabilities=True)
    (row,) = read_csv(target)
    assert (row["prediction"], row["probability_好评"]) == ("by hand", "sure")
    assert row["xlingual_prediction"] in LABELS
    assert 0 < float(row["xlingual_probability_好评"]) < 1


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "xlsx"])
@pytest.mark.parametrize("stage", ["predicting", "converting"])
def test_killed_and_resumed(predictor, expected, tmp_path, monkeypatch, ending, stage) -> None:
    class KilledError(BaseException):
        """The process is gone."""

    def killed(*_: object) -> None:
        raise KilledError

    source, target = tmp_path / "in.jsonl", tmp_path / f"out.{ending}"
    predict_file(predictor, source, tmp_path / f"whole.{ending}", chunk_rows=2)
    with monkeypatch.context() as patch:
        if stage == "converting":
            patch.setattr(output_formats, "_read_rows", killed)
        with pytest.raises(KilledError):
            predict_file(
                predictor, source, target, chunk_rows=2,
                on_progress=killed if stage == "predicting" else None,
            )  # fmt: skip
    assert not target.exists()
    report = predict_file(predictor, source, target, chunk_rows=2, resume=True)
    assert report.num_resumed == (2 if stage == "predicting" else 5)
    if ending == "xlsx":  # the file holds the time it was made
        assert read_xlsx(target) == read_xlsx(tmp_path / "whole.xlsx")
    else:
        assert target.read_bytes() == (tmp_path / f"whole.{ending}").read_bytes()


@pytest.mark.parametrize("ending", ["csv", "parquet", "xlsx"])
def test_memory_does_not_grow_with_the_rows(tmp_path, monkeypatch, ending) -> None:
    monkeypatch.setattr(output_formats, "_CHUNK_ROWS", 128)
    columns = output_formats.TableColumns(
        ["text"], {name: name for name in (*ADDED, "probabilities", "prediction_tags")}, LABELS
    )
    convert = output_formats.output_converter(ending, columns=columns)
    peaks = []
    for number in (500, 1_000, 6_000):  # the first fills the caches of libraries
        source = write(tmp_path / "in.jsonl", [{"text": f"第{n}间" * 20} for n in range(number)])
        tracemalloc.start()
        convert(source, tmp_path / "out")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.5 * peaks[1]


@pytest.mark.parametrize("name", ["out.jsonl.gz", "out.xls", "out.txt"])
def test_names_of_no_format(predictor, expected, tmp_path, name) -> None:
    with pytest.raises(ConfigError, match=r"ends in \.jsonl, \.csv, .* got .*out\."):
        predict_file(predictor, tmp_path / "in.jsonl", tmp_path / name)


def test_a_byte_order_mark_where_there_is_none(predictor, expected, tmp_path) -> None:
    for name in ("out.jsonl", "out.xlsx", "-"):
        target = name if name == "-" else tmp_path / name
        with pytest.raises(ConfigError, match=r"--bom is for \.csv and \.tsv"):
            predict_file(predictor, tmp_path / "in.jsonl", target, bom=True)


def test_without_openpyxl(predictor, expected, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "xlingual\[excel\]"'):
        predict_file(predictor, tmp_path / "in.jsonl", tmp_path / "out.xlsx")


def test_the_command_ends_in_one_line(tmp_path, capsys, encoder) -> None:
    write(tmp_path / "in.jsonl", ROWS)
    with pytest.raises(SystemExit) as caught:
        cli.main(["predict", str(encoder), str(tmp_path / "in.jsonl"), str(tmp_path / "out.doc")])
    assert caught.value.code == cli.USER_ERROR
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith("error: ")
