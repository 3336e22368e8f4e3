from __future__ import annotations

import logging

import pytest

from xlingual.data.readers.columns import Columns, resolve_columns
from xlingual.errors import ColumnError, ConfigError
from xlingual.tasks import get_task


def resolve(
    available: list[str], task: str = "sequence", labels: str = "required", **columns: str
) -> dict[str, str]:
    return resolve_columns(
        available, task=get_task(task), columns=Columns(**columns), labels=labels, where="x.csv"
    )


@pytest.mark.parametrize(
    ("available", "found"),
    [
        (["text", "label"], {"text": "text", "label": "label"}),
        (["id", "Review Text", "Sentiment"], {"text": "Review Text", "label": "Sentiment"}),
        (["评论", "标签"], {"text": "评论", "label": "标签"}),
        (["內容", "類別", "領域"], {"text": "內容", "label": "類別", "domain_name": "領域"}),
        (["label", "review"], {"text": "review", "label": "label"}),
        (["TEXT", "text", "label"], {"text": "text", "label": "label"}),
    ],
)
def test_usual_names_of_texts_and_labels(available: list[str], found: dict[str, str]) -> None:
    assert resolve(available) == found


@pytest.mark.parametrize(
    ("available", "pair"),
    [
        (["premise", "hypothesis", "label"], ("premise", "hypothesis")),
        (["label", "sentence2", "sentence1"], ("sentence1", "sentence2")),
        (["id", "question1", "question2", "label"], ("question1", "question2")),
        (["question", "sentence", "label"], ("question", "sentence")),
        (["text", "premise", "hypothesis", "label"], ("premise", "hypothesis")),
        (["前提", "假设", "标签"], ("前提", "假设")),
    ],
)
def test_usual_names_of_pairs(available: list[str], pair: tuple[str, str]) -> None:
    found = resolve(available, "pair")
    assert (found["text"], found["text_pair"]) == pair


def test_one_text_of_a_pair_may_be_named() -> None:
    assert resolve(["s", "hypothesis", "label"], "pair", text_column="s")["text"] == "s"
    found = resolve(["premise", "h", "label"], "pair", text_pair_column="h")
    assert (found["text"], found["text_pair"]) == ("premise", "h")


def test_tokens_tags_and_raw_text() -> None:
    found = resolve(["tokens", "ner_tags", "text"], "token")
    assert found == {"tokens": "tokens", "tags": "ner_tags", "text": "text"}


def test_multi_label_column_is_canonical_labels() -> None:
    assert resolve(["text", "label"], "multi_label") == {"text": "text", "labels": "label"}


def test_a_guess_is_said_aloud(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    resolve(["text", "label"])
    assert not caplog.records
    resolve(["review", "label"])
    assert "took the column 'review' as the text" in caplog.text
    assert caplog.records[-1].levelno == logging.INFO
    resolve(["review", "content", "label"])
    assert caplog.records[-1].levelno == logging.WARNING
    assert "--text_column" in caplog.text


def test_a_misspelt_column_names_the_nearest() -> None:
    with pytest.raises(
        ColumnError, match=r"'reveiw' \(--text_column\).*'review', 'label'.*'review'\?"
    ):
        resolve(["review", "label"], text_column="reveiw")


def test_alternatives_serve_files_with_different_columns() -> None:
    for column in ("comment_body", "正文内容"):
        found = resolve([column, "label"], text_column="comment_body,正文内容")
        assert found["text"] == column
    assert resolve(["a,b", "label"], text_column="a,b")["text"] == "a,b"


@pytest.mark.parametrize(
    ("available", "task", "message"),
    [
        (["foo", "label"], "sequence", r"usual name for the text .*--text_column"),
        (["premise", "hypothesis", "label"], "sequence", "--task pair"),
        (["text", "bar"], "sequence", "usual name for the label .*target_unlabeled"),
        (["text", "label"], "pair", "usual name for the text_pair"),
        (["text", "label"], "token", "usual name for the tokens"),
        (["tokens"], "token", "usual name for the tags"),
        ([], "sequence", "its columns are: none"),
    ],
)
def test_missing_columns(available: list[str], task: str, message: str) -> None:
    with pytest.raises(ColumnError, match=message):
        resolve(available, task)


def test_optional_labels() -> None:
    assert "label" not in resolve(["text"], labels="optional")
    assert "label" not in resolve(["text"], labels="optional", label_column="gold")
    with pytest.raises(ColumnError, match="did you mean 'label'"):
        resolve(["text", "label"], labels="optional", label_column="lable")


def test_dropped_labels_are_not_looked_for_nor_taken_for_text() -> None:
    assert resolve(["text", "label"], labels="drop") == {"text": "text"}
    assert resolve(["text"], labels="drop", label_column="lable") == {"text": "text"}
    found = resolve(["content", "review"], labels="drop", label_column="review")
    assert found == {"text": "content"}


def test_one_column_has_one_role() -> None:
    with pytest.raises(ConfigError, match="--text_column and --label_column both name"):
        Columns(text_column="a", label_column="a")


@pytest.mark.parametrize(
    ("available", "label"),
    [
        (["评论", "评分"], "评分"),
        (["內容", "星級"], "星級"),
        (["review", "Stars"], "Stars"),
        (["text", "overall rating"], "overall rating"),
        (
            ["text", "stars", "sentiment"],
            "sentiment",
        ),  # a rating only where nothing better is there
        (["text", "score", "y"], "y"),
        (["评论", "评分（1-5）"], "评分（1-5）"),
        (["text", "label_zh"], "label_zh"),
    ],
)
def test_ratings_are_labels_where_there_is_no_better_one(
    available: list[str], label: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert resolve(available)["label"] == label
    assert f"took the column {label!r} as the label" in caplog.text


def test_endings_that_tell_two_columns_apart_are_not_left_out() -> None:
    assert resolve(["text_zh", "label"])["text"] == "text_zh"
    with pytest.raises(ColumnError, match="usual name for the text"):
        resolve(["text_en", "text_zh", "label"])
    assert resolve(["text_en", "text", "label"])["text"] == "text"


def test_ratings_are_not_tags() -> None:
    with pytest.raises(ColumnError, match="usual name for the tags"):
        resolve(["tokens", "stars"], "token")
