from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from hypothesis import given, strategies as st

from xlingual.data.readers.cleaning import (
    UnusableRowError,
    clean_field,
    clean_text,
    clean_tokens,
    find_overlap,
    write_rejected,
)
from xlingual.errors import OutputError


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("\ufeff　房间很\u200b干净。 \r\n", "房间很干净。"),
        ("第一行\r\n第二行\r第三行", "第一行\n第二行\n第三行"),
        ("no\x00thing\x07 here", "nothing here"),
        ("page\x0cbreak", "page break"),
        ("soft\u00adhyphen\u200e", "softhyphen"),
        ("ＡＢＣ，全角　空格", "ＡＢＣ，全角　空格"),
        ("這家飯店", "這家飯店"),
        ("tab\tstays", "tab\tstays"),
        ("👨\u200d👩\u200d👧 好", "👨\u200d👩\u200d👧 好"),
        ("中\u200d文", "中文"),
        ("❤️ 喜欢", "❤️ 喜欢"),
        ("\u200b\u3000\ufeff", ""),
    ],
)
def test_clean_text(raw: str, clean: str) -> None:
    assert clean_text(raw) == clean


@given(st.text())
def test_cleaning_is_idempotent_and_keeps_visible_characters(text: str) -> None:
    clean = clean_text(text)
    assert clean_text(clean) == clean
    visible = [c for c in text if c.isprintable() and not c.isspace()]
    assert [c for c in clean if c.isprintable() and not c.isspace()] == visible


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "no text"),
        (float("nan"), "no text"),
        ("", "empty text"),
        (" \u3000\u200b", "empty text"),
        (5, "type int"),
        (["很好"], "type list"),
        ("很\udcc4好", "not in the file's encoding"),
    ],
)
def test_unusable_fields(value: object, reason: str) -> None:
    with pytest.raises(UnusableRowError, match=reason):
        clean_field(value, column="text")


def test_tokens() -> None:
    assert clean_tokens(["我", "爱", "\u200e", "北京"], ["O", "O", "O", "B-LOC"]) == (
        ["我", "爱", "北京"],
        ["O", "O", "B-LOC"],
    )
    assert clean_tokens("I love it", None) == (["I", "love", "it"], None)


@pytest.mark.parametrize(
    ("tokens", "tags", "reason"),
    [
        ([], [], "no tokens"),
        (None, None, "no tokens"),
        (["\u200b"], None, "no tokens"),
        (["a", "b"], ["O"], "2 tokens but 1 tags"),
        (["\u200b", "京"], ["B-LOC", "I-LOC"], "is empty but tagged 'B-LOC'"),
        (["a", 1], None, "type int"),
        (7, None, "not a list"),
    ],
)
def test_unusable_tokens(tokens: object, tags: list[str] | None, reason: str) -> None:
    with pytest.raises(UnusableRowError, match=reason):
        clean_tokens(tokens, tags)


def texts(*values: str) -> Dataset:
    return Dataset.from_dict({"text": list(values)})


def test_overlap_counts_test_rows_whatever_the_punctuation() -> None:
    train = [texts("The food was cold."), texts("早餐很好，房间也干净。", "...")]
    test = texts("the food was cold", "早餐很好,房间也干净", "早餐很好", "!!!", "The food was cold")
    assert find_overlap(train, test) == 3
    assert find_overlap([], test) == 0


def test_overlap_of_pairs_needs_both_texts() -> None:
    train = Dataset.from_dict({"text": ["a b", "c"], "text_pair": ["d", "e"]})
    test = Dataset.from_dict({"text": ["a", "c", "AB"], "text_pair": ["bd", "d", "d."]})
    assert find_overlap([train], test, columns=("text", "text_pair")) == 1


def test_overlap_of_tokens() -> None:
    train = Dataset.from_dict({"tokens": [["北京", "很", "大"]]})
    test = Dataset.from_dict({"tokens": [["北京", "很大"], ["北京"]]})
    assert find_overlap([train], test, columns=("tokens",)) == 1


def test_rejected_rows_are_readable_utf8(tmp_path: Path) -> None:
    rejected: list[dict[str, Any]] = [
        {"file": "评论.csv", "row": 3, "reason": "empty text", "content": {"评论": "", "b": b"x"}},
        {"file": "评论.csv", "row": 9, "reason": "bytes", "content": {"评论": "很\udcc4好"}},
    ]
    path = tmp_path / "out" / "rejected_rows.jsonl"
    assert write_rejected(path, rejected) == 2
    content = path.read_text(encoding="utf-8")
    assert "评论.csv" in content
    lines = [json.loads(line) for line in content.splitlines()]
    assert lines[0]["row"] == 3
    assert lines[1]["content"]["评论"] == "很\udcc4好"


def test_no_rejected_rows_make_no_file(tmp_path: Path) -> None:
    assert write_rejected(tmp_path / "rejected_rows.jsonl", []) == 0
    assert not list(tmp_path.iterdir())


def test_unwritable_rejected_rows(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot write the rejected rows"):
        write_rejected(tmp_path / "file" / "rejected_rows.jsonl", [{"row": 1}])
