"""``--help_all``: complete, under headings, with reasons for what is refused."""

from __future__ import annotations

import dataclasses

import pytest

from xlingual import DataArguments, TransferArguments
from xlingual.config.help_all import describe_all
from xlingual.config.inherited import FLAG_GROUPS, NEVER

KINDS = (DataArguments, TransferArguments)


@dataclasses.dataclass
class Newer(TransferArguments):
    """With a flag that a later transformers may have."""

    brand_new: int = 1


@pytest.fixture(scope="module")
def said() -> str:
    return describe_all(KINDS)


def test_every_flag_is_there_once(said: str) -> None:
    names = {field.name for kind in KINDS for field in dataclasses.fields(kind)}
    flags = [line.split()[0] for line in said.splitlines() if line.startswith("  --")]
    assert sorted(flags) == sorted(f"--{name}" for name in names)


def test_headings_with_few_flags_each(said: str) -> None:
    headings = [line[:-1] for line in said.splitlines() if line.endswith(":") and line[0] != " "]
    assert headings[0] == "Data files, their columns and their labels"
    assert headings[-len(FLAG_GROUPS) :] == list(FLAG_GROUPS), "and no flag without a heading"
    assert max(map(len, FLAG_GROUPS.values())) <= 20


def test_values_reasons_and_width(said: str) -> None:
    words = " ".join(said.split())
    assert "One of linear, cosine, " in words
    assert "It would round the weights that are saved" in words.partition(NEVER)[2]
    assert max(map(len, said.splitlines())) <= 80


def test_what_transformers_adds_later_stands_last() -> None:
    last = describe_all([Newer]).partition("More flags of transformers:\n")[2]
    assert last.split() == ["--brand_new", "N", "(default:", "1)"]
