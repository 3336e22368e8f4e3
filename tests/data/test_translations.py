"""Translations given by users: line by line, in a column, and in the wrong order or language."""

from __future__ import annotations

import pytest
from datasets import Dataset

from tests.recipes.commands import write_rows
from xlingual import DataArguments, LabelSpace, TransferData, get_task
from xlingual.data import (
    check_translations,
    parse_sources,
    read_translations,
    translate_rows,
)
from xlingual.errors import DataError

ROWS = [
    {"text": "The room was clean.", "label": "positive", "translation": "房间很干净。"},
    {"text": "  ", "label": "negative", "translation": "空的。"},
    {"text": "A terrible bed.", "label": None, "translation": "床糟透了。"},
    {"text": "Never again!", "label": "negative", "translation": "再也不來了！"},
]
LINES = [row["translation"] for row in ROWS]


@pytest.fixture
def source(tmp_path) -> str:
    rows = [{key: row[key] for key in ("text", "label")} for row in ROWS]
    return write_rows(tmp_path / "en.jsonl", rows)


def write(tmp_path, lines) -> str:
    path = tmp_path / "zh.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def asked_for(spec: str | None, *, task: str = "sequence", **columns: str) -> TransferData:
    """The files of source_train; their rows need not be loaded first."""
    space = LabelSpace(("negative", "positive"))
    files = {"source_train": parse_sources(spec, default_name="source_train")} if spec else {}
    args = DataArguments(task=task, **columns)
    return TransferData(get_task(task), space, space, arguments=args, sources=files)


def test_rows_that_will_be_rejected_do_not_shift_the_lines(tmp_path, source):
    found = read_translations(write(tmp_path, LINES), asked_for(source))
    assert found == {ROWS[i]["text"]: LINES[i] for i in (0, 2, 3)}


def test_a_column_of_the_file_itself(tmp_path):
    path = write_rows(tmp_path / "both.jsonl", ROWS)
    assert read_translations(None, asked_for(path))["Never again!"] == "再也不來了！"
    views = [
        {"review": r["text"], "label": r["label"], "view_text": r["translation"]} for r in ROWS
    ]
    path = write_rows(tmp_path / "views.jsonl", views)
    found = read_translations(None, asked_for(path, text_column="review"))
    assert found["A terrible bed."] == "床糟透了。"


def test_several_files_are_one(tmp_path, source):
    other = write_rows(tmp_path / "more.jsonl", [{"text": "Fine, thanks.", "label": "positive"}])
    found = read_translations(
        write(tmp_path, [*LINES, "不錯，謝謝。"]), asked_for(f"{source},b={other}*2")
    )
    assert found["Fine, thanks."] == "不錯，謝謝。"


def test_pairs_have_a_tab(tmp_path):
    rows = [{"premise": "He sleeps.", "hypothesis": "He is awake.", "label": "contradiction"}]
    source = write_rows(tmp_path / "pairs.jsonl", rows)
    found = read_translations(
        write(tmp_path, ["他睡着了。\t他醒着。"]), asked_for(source, task="pair")
    )
    assert found == {"He sleeps.": "他睡着了。", "He is awake.": "他醒着。"}
    with pytest.raises(DataError, match=r"line 1: expected 2 translations .* got 1"):
        read_translations(write(tmp_path, ["他睡着了。他醒着。"]), asked_for(source, task="pair"))


def test_the_embedded_corpus_takes_lines_too(tmp_path):
    with pytest.raises(DataError, match=r"has 4 lines, but --source_train has \d+ rows"):
        read_translations(write(tmp_path, LINES), asked_for(None))
    with pytest.raises(DataError, match="no translations"):
        read_translations(None, asked_for(None))


@pytest.mark.parametrize("lines", [LINES[:3], [*LINES, ""], []])
def test_a_line_count_that_differs_names_both(tmp_path, source, lines):
    path = tmp_path / "zh.txt"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    with pytest.raises(DataError, match=f"has {len(lines)} lines, but --source_train has 4 rows"):
        read_translations(path, asked_for(source))


def test_the_wrong_language_and_nothing_at_all(tmp_path, source):
    english = ["The room.", "Empty.", "The bed.", "Never."]
    with pytest.raises(DataError, match="should be in Chinese, but most of them are in English"):
        read_translations(write(tmp_path, english), asked_for(source))
    assert read_translations(write(tmp_path, english), asked_for(source), language="en")
    with pytest.raises(DataError, match="holds no translation"):
        read_translations(write(tmp_path, ["", "", "", ""]), asked_for(source))
    check_translations({"a": "это"}, language="ru", where="x")


def test_rows_that_were_not_given(tmp_path, source):
    with pytest.raises(DataError, match="translations of --target_test need the rows"):
        read_translations(write(tmp_path, LINES), asked_for(source), role="target_test")


def test_no_such_column(tmp_path, source):
    with pytest.raises(DataError, match="no column translation or view_text"):
        read_translations(None, asked_for(source))


def test_rows_keep_their_labels_and_those_without_translation_go(caplog):
    rows = Dataset.from_dict({"text": ["a room", "a bed"], "label": ["x", "y"]})
    translated = translate_rows(rows, {"a bed": "一张床"})
    assert translated.to_list() == [{"label": "y", "text": "一张床"}]
    view = translate_rows(rows, {"a bed": "一张床"}, as_view=True)
    assert view["view_text"][:] == [None, "一张床"]
    assert view["text"][:] == ["a room", "a bed"]
    with pytest.raises(DataError, match="none of the 2 rows"):
        translate_rows(rows, {"b": "二"})
