"""Bitext: kept rows, dropped rows, and the reasons."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from xlingual.data.bitext import (
    clean_pairs,
    drop_reason,
    normalize_chinese,
    read_bitext,
    read_bitexts,
    strip_markup,
)
from xlingual.errors import ConfigError, DataError


@pytest.mark.parametrize(
    ("english", "chinese", "reason"),
    [
        ("He is free.", "他是自由的。", None),
        ("", "他是自由的。", "empty"),
        ("He is free.", "", "empty"),
        ("if {a} == {b}: return {c}", "如果 {a} == {b}", "markup"),
        ("他是自由的。", "He is free.", "language"),
        ("He is free.", "Er ist frei.", "language"),
        ("He is free.", "彼は自由です。", "language"),
        ("Hello!", "你好！", "short"),
        ("He is free.", "他" * 40, "length_ratio"),
        ("one two three four five six seven eight nine", "一", "length_ratio"),
        ("Use the LDFLAGS_NODIST variable here.", "在此使用LDFLAGS_NODIST变量。", None),
    ],
)
def test_drop_reason(english: str, chinese: str, reason: str | None) -> None:
    assert drop_reason(english, chinese) == reason


def test_dropped_pairs_are_counted() -> None:
    rows = [("He is free.", "他是自由的。")] * 2 + [("", "空"), ("Go to bed.", "去睡觉。")]
    bitext = clean_pairs(rows, name="x")
    assert bitext.english == ["He is free.", "Go to bed."]
    assert dict(bitext.dropped) == {"duplicate": 1, "empty": 1}


def test_identical_targets_are_capped() -> None:
    rows = [(f"He said {word} again.", "他又说了一遍。") for word in map(str, range(30))]
    bitext = clean_pairs(rows, name="x")
    assert (len(bitext), bitext.dropped["identical_target"]) == (20, 10)


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("See :ref:`the docs <docs>` and ``code``.", "See the docs and code."),
        ("Use :meth:`~Model.save` now", "Use Model.save now"),
        ("A [link](https://x.org/a) and **bold** text", "A link and bold text"),
        ("<p>Plain</p> 2 < 3", "Plain 2 < 3"),
        ("A `link <https://x.org>`_ here", "A link here"),
    ],
)
def test_markup_is_stripped_and_its_text_kept(raw: str, clean: str) -> None:
    assert strip_markup(raw) == clean


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("在 斯坦顿 传球 失误 后 ， 狮子 队 。", "在斯坦顿传球失误后，狮子队。"),
        ("房间很好,服务一般!", "房间很好，服务一般！"),
        ("版本 3.14 很好", "版本3.14很好"),
    ],
)
def test_spaced_and_half_width_chinese_is_normalised(raw: str, clean: str) -> None:
    assert normalize_chinese(raw) == clean


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_every_row_is_kept_or_counted(english: str, chinese: str) -> None:
    anchor = ("He is free today.", "他今天是自由的。")
    bitext = clean_pairs([anchor, (english, chinese)], name="x")
    assert len(bitext) + bitext.dropped.total() == 2


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="房间很好 ，,!！ab1", max_size=30))
def test_normalising_chinese_twice_changes_nothing(text: str) -> None:
    once = normalize_chinese(text)
    assert normalize_chinese(once) == once


def test_gzip_and_plain_files_read_alike(tmp_path: Path) -> None:
    bitext_file = tmp_path / "plain" / "pairs.tsv"
    bitext_file.parent.mkdir()
    bitext_file.write_text(
        "We like the new hotel.\t我们喜欢新酒店。\nThey buy old books.\t他們買舊書。\n", "utf-8"
    )
    packed = tmp_path / "pairs.tsv.gz"
    packed.write_bytes(gzip.compress(bitext_file.read_bytes()))
    plain, zipped = read_bitext(bitext_file), read_bitext(packed)
    assert (plain.name, plain.english, plain.chinese) == (
        zipped.name,
        zipped.english,
        zipped.chinese,
    )


def test_a_line_without_tab_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.tsv"
    path.write_text("He is free.\t他是自由的。\nno tab in here\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"line 2: .*tab.*'no tab in here'"):
        read_bitext(path)


def test_swapped_columns_say_which_is_which(tmp_path: Path) -> None:
    path = tmp_path / "swapped.tsv"
    path.write_text("他是自由的。\tHe is free.\n", encoding="utf-8")
    with pytest.raises(DataError, match="English in the first column"):
        read_bitext(path)


def test_a_file_that_is_not_utf8_is_a_data_error(tmp_path: Path) -> None:
    path = tmp_path / "latin.tsv"
    path.write_bytes("He is free.\t他是自由的。\n".encode("gbk"))
    with pytest.raises(DataError, match="UTF-8"):
        read_bitext(path)


def test_swapped_columns_are_named_as_such(tmp_path):
    rows = [
        "房间很干净也很安静。\tThe room was clean and quiet.",
        "她昨天回家了。\tShe went home yesterday.",
    ]
    path = tmp_path / "pairs.tsv"
    path.write_text("\n".join([*rows, "Good morning to you.\t早上好。"]) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match="the columns of 'pairs' seem to be swapped: 2 rows"):
        read_bitext(path)


def test_a_few_swapped_rows_are_dropped(tmp_path):
    rows = [
        "Good morning to you.\t早上好。",
        "She went home.\t她回家了。",
        "他走了。\tHe went away.",
    ]
    path = tmp_path / "pairs.tsv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    bitext = read_bitext(path)
    assert len(bitext) == 2
    assert bitext.dropped["language"] == 1


def test_several_files_are_read_as_one(tmp_path):
    for name, row in (("a", "Good morning to you.\t早上好。"), ("b", "She went home.\t她回家了。")):
        (tmp_path / f"{name}.tsv").write_text(row + "\n", encoding="utf-8")
    bitext = read_bitexts(f"{tmp_path}/a.tsv, {tmp_path}/b.tsv")
    assert bitext.chinese == ["早上好。", "她回家了。"]
    assert bitext.name == "a+b"
    with pytest.raises(ConfigError, match="comma-separated"):
        read_bitexts("a.tsv,")
