"""Plain text that lines up, also in Chinese, and that a pipe can take."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from xlingual.evaluation.text_tables import fits, render_table, wrap_text

HEADER = ["数据集", "rows", "note"]
ROWS = [["zh_酒店", "1,000", "[x] :smile:"], ["en", "12", ""]]


def test_columns_line_up_by_the_places_they_take() -> None:
    first, second, third = render_table(HEADER, ROWS, right=[1]).split("\n")
    assert first == "数据集    rows  note"
    assert second == "zh_酒店  1,000  [x] :smile:"
    assert third == "en          12"


def test_a_wide_cell_is_folded_and_nothing_is_lost() -> None:
    text = "这家酒店的位置很好" * 12
    table = render_table(["名", "text"], [["a", text]], width=40)
    assert max(cell_len(line) for line in table.split("\n")) <= 40
    assert "".join(table.split()).count("这家酒店") == 12
    assert not fits(render_table(["名", "text"], [["a", text]], width=None))


@pytest.mark.parametrize("variable", ["FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE"])
def test_no_environment_brings_colour(monkeypatch, variable) -> None:
    monkeypatch.setenv(variable, "1")
    monkeypatch.setenv("COLUMNS", "20")
    assert "\x1b" not in render_table(HEADER, ROWS)
    assert render_table(HEADER, ROWS).count("\n") == 2, "the width is ours"


def test_sentences_are_wrapped() -> None:
    lines = wrap_text("word " * 30 + "汉字" * 40).split("\n")
    assert len(lines) > 2
    assert all(cell_len(line) <= 80 for line in lines)
