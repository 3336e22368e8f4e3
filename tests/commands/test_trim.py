"""``xlingual trim``."""

from __future__ import annotations

from pathlib import Path

import pytest

from xlingual.commands import trim


def test_it_prints_the_sizes(
    encoder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trim.main([encoder, str(tmp_path / "small"), "--languages", "en"])
    printed = capsys.readouterr().out
    assert "vocabulary" in printed
    assert str(tmp_path / "small") in printed
    assert (tmp_path / "small" / "model.safetensors").is_file()


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        trim.parse(["--help"])
    assert "--languages" in capsys.readouterr().out
