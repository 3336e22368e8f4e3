"""The committed figures are those that the script draws from the measured rows."""

from __future__ import annotations

import json
import runpy
from importlib import metadata
from pathlib import Path

import pytest

from tests.docs.blocks import DOCS, ROOT

SCRIPT = DOCS / "figures.py"
FIGURES = DOCS / "figures"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("figures")
    runpy.run_path(str(SCRIPT))["main"](folder)
    return folder


def test_the_numbers_are_those_of_the_measured_rows(drawn) -> None:
    committed = json.loads((FIGURES / "numbers.json").read_text(encoding="utf-8"))
    assert committed == json.loads((drawn / "numbers.json").read_text(encoding="utf-8"))


def test_the_figures_are_those_of_the_numbers(drawn) -> None:
    if (
        f"matplotlib=={metadata.version('matplotlib')}"
        not in (ROOT / "constraints.txt").read_text()
    ):
        pytest.skip("another matplotlib draws the same figure in other words")
    names = sorted(path.name for path in FIGURES.glob("*.svg"))
    assert names == sorted(path.name for path in drawn.glob("*.svg"))
    assert [n for n in names if (FIGURES / n).read_bytes() != (drawn / n).read_bytes()] == []


def test_the_numbers_agree_with_the_results_page() -> None:
    """Two ways to the same figures: the page was written from the benchmark's own table."""
    numbers = json.loads((FIGURES / "numbers.json").read_text(encoding="utf-8"))
    page = (DOCS / "results.md").read_text(encoding="utf-8")
    for row in numbers["gap"]:
        keys = ("zero_shot", "co_training")
        shown = [f"{row[key]:.1f} ± {row[f'{key}_spread']:.1f}" for key in keys]
        assert f"| {row['domain']} | {' | '.join(shown)} |" in page
    dann = next(row for row in numbers["seconds"] if row["method"] == "dann")
    assert f"{dann['gain']:+.1f} ± {dann['spread']:.1f}" in page


def test_figures_are_text_without_chinese_and_without_a_background() -> None:
    for path in FIGURES.glob("*.svg"):
        svg = path.read_text(encoding="utf-8")
        assert svg.isascii() or not any("\u4e00" <= letter <= "\u9fff" for letter in svg)
        assert "<text" in svg
        assert "fill: #ffffff" not in svg, "a white ground hides the page"
        assert path.stat().st_size < 60_000
