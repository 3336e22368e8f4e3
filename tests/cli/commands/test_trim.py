"""``xlingual trim``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from xlingual.cli.command_line import run_command
from xlingual.errors import ConfigError, ModelLoadError


def test_it_prints_what_was_kept(
    encoder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small, corpus = tmp_path / "small", tmp_path / "corpus.txt"
    corpus.write_text("房间干净又安静。\nGreat service, WiFi很快", encoding="utf-8")
    run_command(["trim", encoder, str(small), "--languages", "en, zh", "--corpus", str(corpus)])
    printed = capsys.readouterr().out
    for line in ("vocabulary", "Latin", "Chinese", "parameters", "size", "all 2 texts"):
        assert line in printed
    assert "100.00% of its tokens" in printed
    assert printed.endswith(f"written to {small}\n")
    assert (small / "model.safetensors").is_file()
    report = json.loads((small / "trim_report.json").read_text(encoding="utf-8"))
    assert report["vocabulary_after"] == sum(report["scripts_after"].values())


def test_a_token_that_the_text_uses_is_never_dropped(encoder: str, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("房间干净又安静。", encoding="utf-8")
    command = [encoder, str(tmp_path / "small"), "--corpus", str(corpus), "--num_tokens", "8"]
    with pytest.raises(ConfigError, match="num_tokens is 8, but"):
        run_command(["trim", *command])
    assert not (tmp_path / "small").exists()


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match="does not exist"):
        run_command(["trim", str(tmp_path / "none"), str(tmp_path / "small"), "--languages", "en"])


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run_command(["trim", "--help"])
    assert "--languages" in capsys.readouterr().out
