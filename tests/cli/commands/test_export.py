"""``xlingual export``: its flags reach the library, and a problem is one line and exit code 2."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from xlingual import cli, export
from xlingual.cli.command_line import run_command


def test_the_flags_reach_the_library(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    asked = {}

    def export_onnx(folder: str, output_dir: str, **options: object) -> export.ExportReport:
        asked.update(options, folder=folder, output=output_dir)
        return export.ExportReport(
            Path(output_dir),
            num_bytes={"int8": 7_000_000},
            max_logit_difference={"int8": {"zh": 0.25}},
            label_agreement={"int8": {"zh": 0.995}},
            accuracy={"zh": {"torch": 0.9, "int8": 0.898}},
            num_rows={"zh": 1_000},
        )

    monkeypatch.setattr(export, "export_onnx", export_onnx)
    flags = ["--precision", "int8", "--max_length", "64", "--validation", "zh=a.csv"]
    run_command(["export", "模型", "out", *flags])
    assert (asked["folder"], asked["output"]) == ("模型", "out")
    assert (asked["precision"], asked["max_length"]) == (["int8"], 64)
    assert asked["validation"] == "zh=a.csv"
    printed = capsys.readouterr().out
    assert "model_int8.onnx: 7.0 MB" in printed
    row = next(line for line in printed.splitlines() if line.startswith("int8  zh"))
    assert row.split()[2:] == ["2.5e-01", "99.50%", "89.80", "90.00", "+0.20", "1,000"]


def test_help_needs_no_model(capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        run_command(["export", "--help"])
    assert ended.value.code == 0
    assert "--validation" in capsys.readouterr().out


def test_without_the_extra_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys, tmp_path
) -> None:
    monkeypatch.setattr("xlingual.cli.exits.set_up_logging", lambda: None)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(SystemExit) as ended:
        cli.main(["export", str(tmp_path), str(tmp_path / "out")])
    assert ended.value.code == 2
    message = capsys.readouterr().err.strip()
    assert message.count("\n") == 0
    assert 'pip install "xlingual[export]"' in message
