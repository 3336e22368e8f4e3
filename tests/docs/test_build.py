"""The pages are built without a warning, and the notebooks in them run to their ends."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import DOCS, ROOT
from tests.recipes.commands import warm_python


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    flags = ["-q", "-W", "--keep-going", "-d", str(folder / "doctrees"), "-b", "html"]
    done = subprocess.run(
        [warm_python(), "-m", "sphinx", *flags, str(DOCS), str(folder / "html")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder / "html"


@pytest.mark.slow
def test_the_settings_page_follows_the_dataclasses(built) -> None:
    page = (built / "settings.html").read_text(encoding="utf-8")
    for flag in (
        "--target_unlabeled",
        "--confidence_threshold",
        "--private_epsilon",
        "--selection",
    ):
        assert f'<span class="pre">{flag}</span>' in page
    assert "--adam_beta1" not in page, "that is one of transformers"


@pytest.mark.slow
def test_the_api_pages_have_the_public_names_and_the_formulas(built) -> None:
    pages = {page.stem: page.read_text(encoding="utf-8") for page in built.glob("api/*.html")}
    import xlingual

    everything = "".join(pages.values())
    missing = [name for name in xlingual.__all__ if f">{name}</span>" not in everything]
    assert missing == []
    assert "lVert C_S - C_T" in pages["seam-loss"]


@pytest.mark.slow
def test_the_notebooks_have_run(built) -> None:
    first = (built / "notebooks" / "first_run.html").read_text(encoding="utf-8")
    assert "majority" in first
    other = (built / "notebooks" / "your_own_data.html").read_text(encoding="utf-8")
    assert "好评" in other
    compared = (built / "notebooks" / "compare_methods.html").read_text(encoding="utf-8")
    assert "frozen_features" in compared


@pytest.mark.slow
def test_a_chinese_page_says_so(built) -> None:
    page = (built / "zh" / "quickstart.html").read_text(encoding="utf-8")
    assert re.search(r'<html[^>]* lang="zh-CN"', page)
    assert 'lang="en"' in (built / "quickstart.html").read_text(encoding="utf-8")


def test_notebooks_are_committed_without_outputs() -> None:
    command = [sys.executable, "-c", NO_OUTPUTS, *map(str, DOCS.glob("notebooks/*.ipynb"))]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stdout.split() == ["3", "0"], done.stderr


NO_OUTPUTS = """
import json, sys
books = [json.load(open(path, encoding="utf-8")) for path in sys.argv[1:]]
print(len(books), sum(len(cell.get("outputs", [])) for book in books for cell in book["cells"]))
"""
