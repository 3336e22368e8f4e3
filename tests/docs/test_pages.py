"""READMEs and pages: short, the same in both languages, complete, and without dead links."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

import xlingual
from tests.docs.blocks import DOCS, PAGES, ROOT, blocks_of

CHINESE = sorted((DOCS / "zh").glob("*.md"))
TRANSLATED = [page for page in CHINESE if page.name != "index.md"]
# Decimals, percentages and large counts: what was measured, not how a sentence counts.
FIGURE = re.compile(r"[+-]?\d[\d,]*\.\d+|\d{1,3}(?:,\d{3})+|\d+%")


def words(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["README.md", "README_zh.md"])
def test_a_readme_is_a_page(name: str) -> None:
    assert len(words(ROOT / name).splitlines()) <= 120


def test_ci_finds_its_two_commands() -> None:
    for piece in ('"$VENV/bin/pytest"', "recipes/zero_shot.py"):
        first = next(line for line in words(ROOT / "README.md").splitlines() if piece in line)
        assert first.startswith("python3 -m venv")


def pairs() -> list[tuple[Path, Path]]:
    return [
        (ROOT / "README.md", ROOT / "README_zh.md"),
        *((DOCS / page.name, page) for page in TRANSLATED),
    ]


@pytest.mark.parametrize(("english", "chinese"), pairs(), ids=lambda page: page.stem)
def test_both_languages_have_the_same_commands(english: Path, chinese: Path) -> None:
    assert [block.code for block in blocks_of(english)] == [b.code for b in blocks_of(chinese)]


@pytest.mark.parametrize(("english", "chinese"), pairs(), ids=lambda page: page.stem)
def test_both_languages_have_the_same_figures(english: Path, chinese: Path) -> None:
    def figures(page: Path) -> set[str]:
        return {found.lstrip("+") for found in FIGURE.findall(words(page))}

    assert figures(english) == figures(chinese)


def test_the_settings_pages_have_every_dataclass_of_flags() -> None:
    for page in (DOCS / "settings.md", DOCS / "zh" / "settings.md"):
        shown = set(re.findall(r"^```\{settings\} (\w+)$", words(page), re.MULTILINE))
        assert shown == {name for name in xlingual.__all__ if name.endswith("Arguments")}


def test_every_field_of_the_settings_has_a_help_text() -> None:
    """A field without one would be left out of the page without a word."""
    fields = dataclasses.fields(xlingual.DataArguments)
    assert [each.name for each in fields if "help" not in each.metadata] == []


@pytest.mark.parametrize("page", [DOCS / "methods.md", DOCS / "zh" / "methods.md"], ids=str)
def test_every_recipe_is_on_the_page(page: Path) -> None:
    recipes = [path.stem for path in (ROOT / "recipes").glob("*.py")]
    assert [name for name in recipes if f"| [`{name}`](#" not in words(page)] == []
    assert [name for name in recipes if f"xlingual {name} " not in words(page)] == []


@pytest.mark.parametrize("page", [*PAGES, *sorted(DOCS.glob("decisions/*.md"))], ids=str)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", words(page))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_decision_says_context_decision_consequence() -> None:
    pages = [page for page in DOCS.glob("decisions/*.md") if page.name != "index.md"]
    index = words(DOCS / "decisions" / "index.md")
    assert [page.name for page in pages if f"({page.name})" not in index] == []
    for page in pages:
        parts = re.findall(r"^\*\*(\w+)\.\*\*", words(page), re.MULTILINE)
        assert parts == ["Context", "Decision", "Consequence"], page.name
