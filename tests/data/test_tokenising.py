from __future__ import annotations

import pytest
from datasets import Dataset, Features, List, Value

from xlingual import LabelSpace, get_task
from xlingual.data import encode
from xlingual.data.tokenising import label_space_of
from xlingual.errors import ColumnError, ConfigError, LabelSpaceError

SPACE = LabelSpace(("差评", "好评"))
TEXTS = ["房间干净又安静，我们很喜欢。", "一點也不差", "check in很慢"]


def encoded(rows: dict, tokenizer, *, task: str = "sequence", **options) -> Dataset:
    dataset = rows if isinstance(rows, Dataset) else Dataset.from_dict(rows)
    options = {"label_space": SPACE, **options}
    return encode(dataset, tokenizer=tokenizer, task=get_task(task), **options)


def test_columns(tokenizer) -> None:
    rows = encoded({"text": TEXTS, "label": ["好评", None, "差评"], "stars": [5, 3, 1]}, tokenizer)
    assert set(rows.column_names) == {
        "input_ids",
        "attention_mask",
        "labels",
        "domain",
        "weight",
        "length",
    }
    assert rows["labels"][:] == [1, -100, 0]
    assert rows["domain"][:] == [0, 0, 0]
    assert rows["weight"][:] == [1.0, 1.0, 1.0]
    for row, text in zip(rows, TEXTS, strict=True):
        assert row["input_ids"] == tokenizer(text)["input_ids"]
        assert row["length"] == len(row["input_ids"]) == sum(row["attention_mask"])


def test_domain_and_weight_travel_along(tokenizer) -> None:
    rows = {"text": TEXTS, "label": ["好评"] * 3, "domain": [0, 1, 1], "weight": [1, 0.5, None]}
    found = encoded(rows, tokenizer)
    assert found["domain"][:] == [0, 1, 1]
    assert found["weight"][:] == [1.0, 0.5, 1.0], "a row without a weight counts in full"


def test_ids_follow_the_names_not_the_file(tokenizer) -> None:
    rows = {"text": TEXTS[:2], "label": ["Negative", "ｐｏｓｉｔｉｖｅ"]}
    one = encoded(rows, tokenizer, label_space=LabelSpace(("negative", "positive")))
    other = encoded(rows, tokenizer, label_space=LabelSpace(("POSITIVE", "NEGATIVE")))
    assert one["labels"][:] == [0, 1]
    assert other["labels"][:] == [1, 0]


def test_texts_are_cut_and_not_padded(tokenizer) -> None:
    texts = ["房间很脏" * 50, "脏"]
    rows = encoded({"text": texts, "label": ["差评"] * 2}, tokenizer, max_length=12)
    assert rows["length"][:] == [12, 3]
    assert rows["input_ids"][0][-1] == tokenizer.sep_token_id


def test_the_longer_side_of_a_pair_is_cut(tokenizer) -> None:
    pair = {"text": ["房间很脏" * 20], "text_pair": ["不 脏"], "label": ["差评"]}
    (row,) = encoded(pair, tokenizer, task="pair", max_length=16)
    sides = " ".join(tokenizer.convert_ids_to_tokens(row["input_ids"])).split("[SEP]")
    assert len(row["input_ids"]) == 16
    assert sides[1].split() == ["不", "脏"]
    assert sides[0].startswith("[CLS] 房 间 很 脏 房")


def test_multi_label(tokenizer) -> None:
    features = Features({"text": Value("string"), "labels": List(Value("string"))})
    rows = Dataset.from_dict(
        {"text": TEXTS, "labels": [["好评", "差评"], [], None]}, features=features
    )
    assert encoded(rows, tokenizer, task="multi_label")["labels"][:] == [
        [1.0, 1.0],
        [0.0, 0.0],
        [-100.0, -100.0],
    ]


def test_rows_without_a_label_column_are_unlabelled(tokenizer) -> None:
    assert encoded({"text": TEXTS}, tokenizer)["labels"][:] == [-100] * 3
    assert encoded({"text": TEXTS}, tokenizer, task="multi_label")["labels"][0] == [-100.0] * 2


def test_missing_column(tokenizer) -> None:
    with pytest.raises(ColumnError, match=r"pair task needs .* text_pair; the data set has text"):
        encoded({"text": TEXTS, "label": ["好评"] * 3}, tokenizer, task="pair")


def test_unknown_label(tokenizer) -> None:
    with pytest.raises(LabelSpaceError, match=r"unknown label '中评'.*差评, 好评.*--label_map"):
        encoded({"text": TEXTS[:1], "label": ["中评"]}, tokenizer)


def test_ids_instead_of_names(tokenizer) -> None:
    with pytest.raises(LabelSpaceError, match="names, not ids; got 1"):
        encoded({"text": TEXTS[:1], "label": [1]}, tokenizer)


def test_token_tasks_are_refused_not_mangled(tokenizer) -> None:
    with pytest.raises(ConfigError, match="align tags to characters"):
        encoded({"tokens": [["北", "京"]], "tags": [["B-LOC", "I-LOC"]]}, tokenizer, task="token")


def test_label_space_of_a_column() -> None:
    rows = Dataset.from_dict({"label": ["好评", None, "差评", "好评"]})
    assert label_space_of(rows, get_task("sequence")) == LabelSpace(("好评", "差评"))
    several = Dataset.from_dict({"labels": [["b", "a"], [], ["a", "c"]]})
    assert label_space_of(several, get_task("multi_label")).names == ("a", "b", "c")


@pytest.mark.parametrize("rows", [None, Dataset.from_dict({"text": ["好"]})])
def test_label_space_of_nothing(rows: Dataset | None) -> None:
    with pytest.raises(ConfigError, match="give label_space, or rows with the column 'label'"):
        label_space_of(rows, get_task("sequence"))
