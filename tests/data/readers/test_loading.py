from __future__ import annotations

import gzip
import json
import logging
from pathlib import Path
from typing import Any

import datasets
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value

from xlingual.data.readers.columns import Columns
from xlingual.data.readers.loading import LoadedData, load_source
from xlingual.data.readers.sources import DataSource, parse_sources
from xlingual.errors import ColumnError, ConfigError, DataError
from xlingual.labels import LabelSpace
from xlingual.tasks import get_task

ROWS = [
    {"text": "前台服务热情，房间也干净。", "label": "positive"},
    {"text": "空調太吵，整晚沒睡好。", "label": "negative"},
    {"text": "Great location, 但是 WiFi 很慢", "label": "negative"},
    {"text": "性价比ＯＫ，下次还来", "label": "positive"},
]


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def load(path: Path | str, *, task: str = "sequence", **options: Any) -> LoadedData:
    (source,) = parse_sources(str(path), default_name="target_test")
    return load_source(source, task=get_task(task), **options)


def write_lines(path: Path, *rows: object) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_as(folder: Path, kind: str) -> Path:
    path = folder / f"hotel.{kind}"
    if kind == "csv":
        write_lines(path, "text,label", *(f"{row['text']},{row['label']}" for row in ROWS[:2]),
                    *(f'"{row["text"]}",{row["label"]}' for row in ROWS[2:]))  # fmt: skip
    elif kind == "tsv":
        write_lines(path, "text\tlabel", *(f"{row['text']}\t{row['label']}" for row in ROWS))
    elif kind == "json":
        path.write_text(json.dumps(ROWS), encoding="utf-8")
    elif kind == "jsonl":
        write_lines(path, *ROWS)
    elif kind == "jsonl.gz":
        path.write_bytes(gzip.compress("\n".join(json.dumps(row) for row in ROWS).encode()))
    elif kind == "parquet":
        Dataset.from_list(ROWS).to_parquet(str(path))
    else:
        Dataset.from_list(ROWS).save_to_disk(str(path))
    return path


@pytest.mark.parametrize("kind", ["csv", "tsv", "json", "jsonl", "jsonl.gz", "parquet", "folder"])
def test_every_format_gives_the_same_rows(tmp_path: Path, kind: str) -> None:
    loaded = load(f"酒店={write_as(tmp_path, kind)}*0.5")
    assert loaded.dataset.to_list() == [row | {"domain_name": "酒店"} for row in ROWS]
    assert loaded.dataset.features == Features(
        {name: Value("string") for name in ("text", "label", "domain_name")}
    )
    assert not loaded.rejected
    assert loaded.columns_used == {"text": "text", "label": "label"}
    assert loaded.source.weight == 0.5


def test_pairs(tmp_path: Path) -> None:
    row = {"premise": "一个人在弹琴。", "hypothesis": "有人在演奏。", "gold_label": "entailment"}
    loaded = load(write_lines(tmp_path / "nli.jsonl", row), task="pair")
    assert loaded.dataset[0] == {
        "text": "一个人在弹琴。",
        "text_pair": "有人在演奏。",
        "label": "entailment",
        "domain_name": "nli",
    }


def test_several_labels(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.csv", "text,labels", "又贵又吵,price|noise", "不错,", "行,x")
    loaded = load(path, task="multi_label", label_map={"x": "other"})
    assert loaded.dataset["labels"][:] == [["price", "noise"], ["other"]]
    assert loaded.rejected[0]["reason"] == "no label"
    rows = [{"text": "好", "labels": []}, {"text": "贵", "labels": ["price"]}]
    loaded = load(write_lines(tmp_path / "x.jsonl", *rows), task="multi_label")
    assert loaded.dataset["labels"][:] == [[], ["price"]]


def test_tokens(tmp_path: Path) -> None:
    write_lines(tmp_path / "x.conll", "小明\tB-PERSON", "在\tO", "上海\tB-LOC", "", "好\tO")
    loaded = load(
        tmp_path / "x.conll",
        task="token",
        label_map={"PERSON": "PER"},
        columns=Columns(tokens_column="words", tags_column="ner"),  # a name for the other files
    )
    assert loaded.dataset.column_names == ["tokens", "tags", "domain_name"]
    assert loaded.dataset["tags"][:] == [["B-PER", "O", "B-LOC"], ["O"]]
    rows = [
        {"tokens": ["我", "在"], "ner_tags": ["O", "O"], "text": "我在"},
        {"tokens": ["我"], "ner_tags": ["O", "O"], "text": "我"},
    ]
    loaded = load(write_lines(tmp_path / "x.jsonl", *rows), task="token")
    assert loaded.dataset[0]["text"] == "我在"
    assert loaded.rejected[0]["reason"] == "1 tokens but 2 tags"


@pytest.mark.parametrize("kind", ["parquet", "folder"])
def test_stored_label_names(tmp_path: Path, kind: str) -> None:
    labels = ClassLabel(names=["negative", "positive"])
    features = Features({"text": Value("string"), "label": labels})
    rows = {"text": ["好", "坏", "没有标签"], "label": [1, 0, -1]}
    dataset = Dataset.from_dict(rows, features=features)
    path = tmp_path / f"x.{kind}"
    dataset.to_parquet(str(path)) if kind == "parquet" else dataset.save_to_disk(str(path))
    loaded = load(path)
    assert loaded.dataset["label"][:] == ["positive", "negative"]
    assert [(row["row"], row["reason"]) for row in loaded.rejected] == [(3, "no label")]


def test_stored_tag_names(tmp_path: Path) -> None:
    tags = List(ClassLabel(names=["O", "B-LOC"]))
    features = Features({"tokens": List(Value("string")), "ner_tags": tags})
    Dataset.from_dict(
        {"tokens": [["在", "京"]], "ner_tags": [[0, 1]]}, features=features
    ).to_parquet(str(tmp_path / "x.parquet"))
    assert load(tmp_path / "x.parquet", task="token").dataset[0]["tags"] == ["O", "B-LOC"]


def test_numbers_as_labels_are_the_same_in_all_formats(tmp_path: Path) -> None:
    csv = write_lines(tmp_path / "x.csv", "text,label", "好,1", "坏,0.0", "无,")
    jsonl = write_lines(
        tmp_path / "x.jsonl",
        {"text": "好", "label": 1}, {"text": "坏", "label": 0.0}, {"text": "无", "label": None},
    )  # fmt: skip
    for path in (csv, jsonl):
        loaded = load(path, label_map={"1": "positive", "0": "negative"})
        assert loaded.dataset["label"][:] == ["positive", "negative"]
        assert loaded.rejected[0]["reason"] == "no label"


def test_domain_names(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.csv", "text,label,domain,shop", "好,1,hotel,7", "坏,0,,8")
    assert load(path).dataset["domain_name"][:] == ["hotel", "x"]
    assert load(f"mine={path}").dataset["domain_name"][:] == ["mine", "mine"]
    named = load(f"mine={path}", columns=Columns(domain_column="shop"))
    assert named.dataset["domain_name"][:] == ["7", "8"]


def test_bad_rows_are_rejected_with_their_place_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_lines(
        tmp_path / "评论.jsonl",
        ROWS[0],
        {"text": " \u3000", "label": "positive"},
        {"text": 5, "label": "positive"},
        '{"text": "被截断',
        {"text": "没有标签"},
        r'{"text": "half an emoji \ud83d", "label": "positive"}',
        ROWS[1],
    )
    loaded = load(path)
    assert len(loaded.dataset) == 2
    assert [(row["row"], row["reason"].split(" (")[0]) for row in loaded.rejected] == [
        (2, "empty text"),
        (3, "the text is of type int, not a string"),
        (4, "not valid JSON"),
        (5, "no label"),
        (6, "the text holds bytes that are not in the file's encoding"),
    ]
    assert all(row["file"] == str(path) for row in loaded.rejected)
    assert loaded.rejected[1]["content"] == {"text": 5, "label": "positive"}
    assert loaded.rejected[2]["content"] == {"raw": '{"text": "被截断'}
    assert "rejected 5 of 7 rows (1 x empty text" in caplog.text
    assert "first at line 2" in caplog.text


def test_undecodable_rows_are_rejected_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    good = "text,label\n服务很好,1\n早餐一般,0\n"
    path.write_bytes(good.encode() + "坏".encode()[:2] + b",1\n")
    loaded = load(path)
    assert loaded.dataset["text"][:] == ["服务很好", "早餐一般"]
    assert loaded.rejected[0]["row"] == 4


def test_gb18030_is_read_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes("评论,标签\n服务很好，下次再来,正面\n".encode("gb18030"))
    assert load(path).dataset[0]["text"] == "服务很好，下次再来"
    assert "read as gb18030" in caplog.text


def test_labels_outside_the_label_space(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.csv", "text,label", "好,Positive", "一般,neutral")
    loaded = load(path, label_space=LabelSpace(("negative", "positive")))
    assert loaded.dataset["label"][:] == ["positive"]
    assert loaded.rejected[0]["reason"] == "unknown label 'neutral'"


def test_optional_labels(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.jsonl", {"text": "好", "label": "a"}, {"text": "坏"})
    assert load(path, labels="optional").dataset["label"][:] == ["a", None]
    path = write_lines(tmp_path / "y.jsonl", {"text": "好"})
    loaded = load(path, labels="optional")
    assert loaded.dataset["label"][:] == [None]
    assert loaded.dataset.features["label"] == Value("string")


POISONS: list[Any] = [
    None, "positive", 7, float("inf"), {"a": [1]}, ["x"], "", "\ud800", "|", True, 10**30,
]  # fmt: skip


@pytest.mark.parametrize("task", ["sequence", "multi_label"])
def test_a_poisoned_label_column_changes_nothing_when_dropped(
    tmp_path: Path, task: str, caplog: pytest.LogCaptureFixture
) -> None:
    texts = [f"第{number}条评论，没什么特别" for number in range(len(POISONS))]
    texts[3] = ""
    clean = write_lines(tmp_path / "a.jsonl", *({"text": text} for text in texts))
    poisoned = tmp_path / "b.jsonl"
    rows = zip(texts, POISONS, strict=True)
    lines = [json.dumps({"text": text, "label": poison}) for text, poison in rows]
    poisoned.write_text("\n".join([*lines, '{"text": "cut", "label": "posi']), encoding="utf-8")
    caplog.set_level(logging.INFO)
    expected = load(f"x={clean}", task=task, labels="drop")
    loaded = load(f"x={poisoned}", task=task, labels="drop")
    assert loaded.dataset.to_list() == expected.dataset.to_list()
    assert loaded.dataset.features == expected.dataset.features
    assert set(loaded.dataset[get_task(task).label_column]) == {None}
    assert loaded.columns_used == {"text": "text"}
    assert loaded.rejected[0]["content"] == {"text": ""}
    assert loaded.rejected[1]["content"] == {}
    assert all(word not in caplog.text for word in ("as the label", "no label", "posi"))


def test_dropped_label_columns_are_not_read_from_parquet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow.parquet

    path = write_as(tmp_path, "parquet")
    wanted = []
    iter_batches = pyarrow.parquet.ParquetFile.iter_batches

    def spy(self: Any, **options: Any) -> Any:
        wanted.append(options["columns"])
        return iter_batches(self, **options)

    monkeypatch.setattr(pyarrow.parquet.ParquetFile, "iter_batches", spy)
    load(path, labels="drop")
    load(path, labels="drop", columns=Columns(label_column="label"))
    assert wanted == [["text"], ["text"]]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", "", r"x.csv is empty \(0 bytes\)"),
        ("x.csv", "text,label\n", r"columns \(text, label\) but no rows"),
        (
            "x.csv",
            "text,label\n ,1\n,0\n好,\n",
            r"none of its 3 rows .*2 x empty text, 1 x no label",
        ),
        ("x.csv", "text,label\n好,\n", "labels are required here"),
        ("x.csv", "text,label,label\n好,1,1\n", "'label' more than once"),
        ("x.jsonl", "{\n", "has no usable row.*not valid JSON"),
        ("x.jsonl", '{"text": "好"}\n', "no column has a usual name for the label"),
        ("x.parquet", "text,label\n好,1\n", "cannot be read as parquet"),
        ("x.doc", "PK", r"unknown kind; expected .*\.csv"),
        ("x.csv", "PK\x03\x04", "Excel"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, name: str, content: str, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode())
    with pytest.raises(DataError, match=message) as error:
        load(path)
    assert str(path) in str(error.value)


def test_a_misspelt_column(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.csv", "review,label", "好,1")
    with pytest.raises(ColumnError, match="did you mean 'review'"):
        load(path, columns=Columns(text_column="revew"))


def test_a_path_with_a_typo_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "reviews").mkdir()
    path = write_lines(tmp_path / "reviews" / "zh_hotel.jsonl", ROWS[0])
    with pytest.raises(DataError, match=f"does not exist; did you mean {path}"):
        load(tmp_path / "reviews" / "zh_hotle.jsonl")
    with pytest.raises(DataError, match=f"did you mean {path.parent}"):
        load(tmp_path / "review" / "zh_hotel.jsonl")
    with pytest.raises(DataError, match=r"has zh_hotel\.jsonl"):
        load(tmp_path / "reviews" / "q.csv")


def test_folders_with_splits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    splits = {"train": Dataset.from_list(ROWS[:1]), "test": Dataset.from_list(ROWS[1:3])}
    DatasetDict(splits).save_to_disk(str(tmp_path / "set"))
    assert len(load(f"{tmp_path}/set@test").dataset) == 2
    assert not caplog.records
    assert len(load(tmp_path / "set").dataset) == 1
    assert "took the split 'train' of train, test" in caplog.text
    with pytest.raises(DataError, match="no split 'dev'; its splits: train, test"):
        load(f"{tmp_path}/set@dev")


def test_splits_where_there_are_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no splits; leave out '@test'"):
        load(f"{write_as(tmp_path, 'folder')}@test")
    with pytest.raises(DataError, match="has no splits; leave out '@test'"):
        load(f"{write_as(tmp_path, 'csv')}@test")


def test_a_folder_of_another_kind(tmp_path: Path) -> None:
    write_lines(tmp_path / "train.jsonl", ROWS[0])
    with pytest.raises(DataError, match=r"not one written by save_to_disk.*train\.jsonl"):
        load(tmp_path)


@pytest.mark.parametrize("spec", ["org/no_such_set@test", "nosuchset"])
def test_the_hub_out_of_reach(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataError, match=r"neither a local file.*HF_HUB_OFFLINE.*HF_ENDPOINT"):
        load(spec)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ConnectionError("Couldn't reach 'org/set' on the Hub"), "HF_ENDPOINT to a mirror"),
        (FileNotFoundError("Dataset 'org/set' doesn't exist"), "set HF_TOKEN"),
        (ValueError("Unknown split \"test\". Should be one of ['train']."), "Should be one of"),
        (ValueError("Config name is missing."), "hub_id:config@split"),
        (RuntimeError("Dataset scripts are no longer supported"), "in parquet"),
    ],
)
def test_what_the_hub_refuses(
    error: Exception, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(DataError, match=message):
        load("org/set@test")


def test_the_hub_is_asked_for_config_and_split(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked = []

    def give(*arguments: object, split: str) -> Dataset:
        asked.append((*arguments, split))
        return Dataset.from_list(ROWS)

    monkeypatch.setattr(datasets, "load_dataset", give)
    assert load("org/set:zh@test").dataset.num_rows == len(ROWS)
    assert not caplog.records
    load("org/set")
    assert asked == [("org/set", "zh", "test"), ("org/set", None, "train")]
    assert "no @split given, took 'train'" in caplog.text


def test_what_is_neither_a_path_nor_a_hub_id() -> None:
    with pytest.raises(DataError, match="neither an existing file or folder nor a hub id"):
        load_source(DataSource("x", "what is this?"), task=get_task("sequence"))


def test_unknown_label_policy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'required', 'optional' or 'drop'"):
        load(write_as(tmp_path, "csv"), labels="maybe")


def test_many_rows_keep_their_order(tmp_path: Path) -> None:
    rows = [f"{number},{number % 2}" for number in range(25_000)]
    loaded = load(write_lines(tmp_path / "x.csv", "text,label", *rows))
    assert loaded.dataset["text"][:] == [str(number) for number in range(25_000)]
