"""The data of one run: roles, names, weights, and the checks between the sets."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from xlingual import (
    DataArguments,
    LabelSpace,
    TransferData,
    embedded_corpus,
    get_task,
    load_transfer_data,
)
from xlingual.data import ROLES, encode
from xlingual.errors import ColumnError, ConfigError, DataError, LabelSpaceError

ZERO_SHOT = ("source_train", "source_validation", "target_test")
EN = [
    {"text": f"Sentence {number}: {text}", "label": label}
    for number in range(10)
    for text, label in (
        ("the film was a delight.", "positive"),
        ("two hours I will not get back.", "negative"),
    )
]
ZH = [
    {"text": "前台很热情，房間也乾淨。", "label": "Positive"},
    {"text": "隔音太差，整晚没睡好。", "label": "NEGATIVE"},
    {"text": "早餐 so-so，但位置好", "label": "positive"},
]

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def jsonl(name: str, rows: Iterable[dict[str, Any]]) -> str:
        path = tmp_path / name
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        path.write_text("".join(lines), encoding="utf-8")
        return str(path)

    return jsonl


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    caplog.set_level(logging.INFO, logger="xlingual")
    return lambda: caplog.text


def load(use: Iterable[str] = ZERO_SHOT, **options: Any) -> TransferData:
    given = {field.name for field in dataclasses.fields(DataArguments)} & options.keys()
    data_args = DataArguments(**{name: options.pop(name) for name in given})
    return load_transfer_data(data_args, use=list(use), **options)


# Without any data argument


def test_the_embedded_corpus_is_the_default(said) -> None:
    data = load(ROLES)
    corpus = embedded_corpus()
    assert "running on the embedded corpus" in said()
    assert data.label_space == LabelSpace(("negative", "positive"))
    for role in ROLES:
        ((name, rows),) = getattr(data, role).items()
        assert name == ("products" if role.startswith("source") else "hotel")
        assert rows["text"][:] == corpus[role]["text"][:]


def test_only_the_roles_of_the_recipe_are_there() -> None:
    data = load(("source_train", "target_test"))
    there = {role for role in ROLES if getattr(data, role)}
    assert there == {"source_train", "target_test"}


def test_the_embedded_corpus_has_one_task() -> None:
    with pytest.raises(ConfigError, match="for the sequence task; give --source_train for pair"):
        load(task="pair")


def test_embedded_validation_is_its_own(said) -> None:
    assert len(load().source_validation["products"]) == len(embedded_corpus()["source_validation"])
    assert "held out" not in said()


# Files


def test_files_by_role(write: Write) -> None:
    data = load(
        source_train=write("en.jsonl", EN[4:]),
        source_validation=write("dev.jsonl", EN[:4]),
        target_test=write("zh.jsonl", ZH),
    )
    assert data.source_train["en"]["text"][:] == [row["text"] for row in EN[4:]]
    assert len(data.source_validation["dev"]) == 4
    assert data.target_test["zh"]["label"][:] == ["Positive", "NEGATIVE", "positive"]
    assert data.label_space == data.target_label_space == LabelSpace(("negative", "positive"))
    assert data.rejected == []


def test_a_target_in_another_order_and_case_gets_the_ids_of_the_source(
    write: Write, tokenizer
) -> None:
    data = load(source_train=write("en.jsonl", EN), target_test=write("zh.jsonl", ZH))
    rows = encode(
        data.target_test["zh"], tokenizer=tokenizer, task=data.task, label_space=data.label_space
    )
    assert rows["labels"][:] == [1, 0, 1]


def test_several_named_weighted_files(write: Write) -> None:
    books = write("books.jsonl", EN[:6])
    films = write("films.jsonl", EN[6:16])
    hotel = write("hotel.jsonl", ZH)
    data = load(
        ("source_train", "target_train"),
        source_train=f"{books},电影={films}*0.5",
        target_train=f"酒店={hotel}*2",
    )
    assert list(data.source_train) == ["books", "电影"]
    assert data.mixture_weights == {
        "source_train": {"books": 1.0, "电影": 0.5},
        "target_train": {"酒店": 2.0},
    }
    mixed = data.mixture()
    of_set = Counter(zip(mixed["domain_name"], mixed["domain"], mixed["weight"], strict=True))
    assert of_set == {("books", 0, 1.0): 6, ("电影", 0, 0.5): 10, ("酒店", 1, 2.0): 3}
    assert Counter(data.mixture("source_train")["domain_name"]) == {"books": 6, "电影": 10}
    assert data.mixture("target_train")["domain"][:] == [1, 1, 1]


def test_weights_of_rows_are_read_where_they_are_named(write: Write) -> None:
    rows = [{**row, "gewicht": number / 2} for number, row in enumerate(EN)]
    data = load(
        ("source_train",), source_train=write("en.jsonl", rows) + "*2", weight_column="gewicht"
    )
    assert data.mixture()["weight"][:] == [float(number) for number in range(len(EN))]


def test_a_weight_that_is_no_number_rejects_the_row(write: Write, tmp_path: Path) -> None:
    rows = [{**row, "w": 1.0} for row in EN] + [{**EN[0], "text": "坏", "w": "重"}]
    data = load(
        ("source_train",),
        source_train=write("en.jsonl", rows),
        weight_column="w",
        rejected_to=str(tmp_path / "out"),
    )
    assert len(data.source_train["en"]) == len(EN)
    (rejected,) = data.rejected
    assert "weight must be a number" in rejected["reason"]


def test_names_of_sets_under_which_metrics_are_kept(write: Write) -> None:
    zh = write("zh.jsonl", ZH)
    one = load(source_train=write("en.jsonl", EN), target_test=f"hotel={zh}")
    assert list(one.evaluation_sets("target_test")) == ["zh"]
    two = load(source_train=write("en.jsonl", EN), target_test=f"hotel={zh},书={zh}")
    assert list(two.evaluation_sets("target_test")) == ["zh_hotel", "zh_书"]
    assert one.evaluation_sets("target_validation") == {}


def test_the_languages_name_the_metrics(write: Write) -> None:
    options = {"source_train": write("de.jsonl", EN), "target_test": write("zh.jsonl", ZH)}
    data = load(source_language="de", target_language="yue", **options)
    assert list(data.evaluation_sets("source_validation")) == ["de"]
    assert list(data.evaluation_sets("target_test")) == ["yue"]
    assert list(data.selection_sets()) == ["de"]


def test_what_was_read_is_kept(write: Write) -> None:
    en, zh = write("en.jsonl", EN), write("zh.jsonl", ZH)
    data = load(source_train=f"评论={en}*2", target_test=zh, target_train=zh, label_column="label")
    assert list(data.sources) == ["source_train", "target_test"], "target_train is not used"
    (source,) = data.sources["source_train"]
    assert (source.name, source.path, source.weight) == ("评论", en, 2.0)
    assert data.arguments.label_column == "label"


def test_a_role_as_one_data_set(write: Write) -> None:
    zh = write("zh.jsonl", ZH)
    data = load(source_train=write("en.jsonl", EN), target_test=f"hotel={zh},书={zh}*3")
    pooled = data.pool("target_test")
    assert Counter(pooled["domain_name"]) == {"hotel": 3, "书": 3}
    assert set(pooled["domain"]) == {1}
    assert set(pooled["weight"]) == {1.0}, "what is evaluated has no weight"
    assert set(data.pool("source_validation")["domain"]) == {0}
    assert data.pool("target_unlabeled") is None


def test_validation_sets_are_pooled_for_selection(write: Write, tokenizer) -> None:
    plain = write("plain.jsonl", EN[:4])
    weighted = write("weighted.jsonl", [{**row, "w": 0.5} for row in EN[4:8]])
    data = load(
        (*ZERO_SHOT, "target_validation"),
        source_train=write("en.jsonl", EN[8:]),
        source_validation=f"{plain},{weighted}",
        target_validation=write("zh.jsonl", ZH),
        target_test=write("test.jsonl", ZH),
        weight_column="w",
    )
    pooled = data.selection_sets()
    assert {language: len(rows) for language, rows in pooled.items()} == {"en": 8, "zh": 3}
    for rows in pooled.values():
        encoded = encode(rows, tokenizer=tokenizer, task=data.task, label_space=data.label_space)
        assert len(encoded) == len(rows)


def test_a_label_map_renames_in_every_file(write: Write) -> None:
    numbered = [{"text": row["text"], "label": int(row["label"] == "positive")} for row in EN]
    named = [{"text": "很好", "label": "好评"}, {"text": "很差", "label": "差评"}]
    data = load(
        source_train=write("en.jsonl", numbered),
        target_test=write("zh.jsonl", named),
        label_map="1=positive,0=negative,好评=positive,差评=negative",
    )
    assert data.label_space == LabelSpace(("negative", "positive"))
    assert data.target_test["zh"]["label"][:] == ["positive", "negative"]


def test_max_train_rows_is_a_sample_of_the_training_sets(write: Write) -> None:
    options = {"source_train": write("en.jsonl", EN), "target_test": write("zh.jsonl", ZH)}
    some = [
        load(("source_train", "target_test"), max_train_rows=6, seed=seed, **options)
        for seed in (0, 0, 1)
    ]
    texts = [data.source_train["en"]["text"][:] for data in some]
    assert [len(rows) for rows in texts] == [6, 6, 6]
    assert texts[0] == texts[1] != texts[2]
    assert len(some[0].target_test["zh"]) == 3, "a test set is never cut"


def test_rejected_rows_are_counted_and_listed(write: Write, tmp_path: Path, said) -> None:
    bad = [*EN, {"text": "　", "label": "positive"}, {"text": "没有标签", "label": None}]
    out = tmp_path / "out"
    data = load(
        source_train=write("en.jsonl", bad),
        target_test=write("zh.jsonl", [*ZH, {"text": None, "label": "positive"}]),
        rejected_to=str(out),
    )
    assert len(data.rejected) == 3
    lines = (out / "rejected_rows.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["row"] for line in lines] == [21, 22, 4]
    assert "没有标签" in lines[1]
    assert "rejected rows: 3, listed in" in said()


def test_good_files_leave_no_list(write: Write, tmp_path: Path) -> None:
    load(
        source_train=write("en.jsonl", EN),
        target_test=write("zh.jsonl", ZH),
        rejected_to=str(tmp_path / "out"),
    )
    assert not (tmp_path / "out").exists()


# Held-out rows


def test_a_source_without_validation_gives_a_tenth(write: Write, said) -> None:
    books, films = write("books.jsonl", EN), write("films.jsonl", EN[:4])
    data = load(source_train=f"{books},{films}", target_test=write("zh.jsonl", ZH))
    assert {name: len(rows) for name, rows in data.source_validation.items()} == {
        "books": 2,
        "films": 2,
    }
    assert Counter(data.source_validation["books"]["label"]) == {"positive": 1, "negative": 1}
    for name in ("books", "films"):
        held, rest = data.source_validation[name], data.source_train[name]
        assert not set(held["text"]) & set(rest["text"])
    assert "no --source_validation: 2 of the 20 rows of books are held out" in said()


def test_too_small_a_source_gives_none(write: Write, said) -> None:
    rows = [EN[0], EN[1]]
    data = load(source_train=write("en.jsonl", rows), target_test=write("zh.jsonl", ZH))
    assert data.source_validation == {}
    assert len(data.source_train["en"]) == 2
    assert "held out" not in said()


# Label spaces


@pytest.mark.parametrize(
    "role", ["source_validation", "target_train", "target_validation", "target_test"]
)
def test_labels_that_the_source_does_not_have(write: Write, role: str) -> None:
    other = [{"text": "很好", "label": "好评"}, {"text": "很差", "label": "差评"}]
    with pytest.raises(LabelSpaceError) as caught:
        load(ROLES, source_train=write("en.jsonl", EN), **{role: write("hotel.jsonl", other)})
    message = str(caught.value)
    assert message.startswith(f"{role} 'hotel' has labels that the source does not: 好评, 差评;")
    assert "the source has negative, positive" in message
    assert "--label_map" in message


def test_a_target_may_have_labels_of_its_own_where_the_recipe_allows_it(write: Write, said) -> None:
    other = [{"text": f"第{n}条", "label": label} for n, label in enumerate(["满", "不满", "无"])]
    options = {
        "source_train": write("en.jsonl", EN),
        "target_train": write("zh.jsonl", other),
        "target_test": write("test.jsonl", other[:2]),
        "allow_other_target_labels": True,
    }
    data = load((*ZERO_SHOT, "target_train"), **options)
    assert data.label_space.names == ("negative", "positive")
    assert set(data.target_label_space.names) == {"满", "不满", "无"}
    assert "the head is swapped and the encoder kept" in said()
    options["target_test"] = write("test.jsonl", [*other, {"text": "新", "label": "新"}])
    with pytest.raises(LabelSpaceError, match="target_test 'test' has labels"):
        load((*ZERO_SHOT, "target_train"), **options)


def test_fewer_target_labels_are_fine(write: Write) -> None:
    data = load(source_train=write("en.jsonl", EN), target_test=write("zh.jsonl", ZH[:1]))
    assert data.target_label_space == data.label_space


def test_one_label_is_no_task(write: Write) -> None:
    rows = [row for row in EN if row["label"] == "positive"]
    with pytest.raises(LabelSpaceError, match=r"one label only \(positive\).*--label_map"):
        load(source_train=write("en.jsonl", rows), target_test=write("zh.jsonl", ZH))


def test_a_target_without_labels_where_they_are_needed(write: Write) -> None:
    bare = write("zh.jsonl", [{"text": "很好"}])
    with pytest.raises(ColumnError, match=r"zh\.jsonl.*label"):
        load(source_train=write("en.jsonl", EN), target_test=bare)
    blank = write("blank.jsonl", [{"text": "很好", "label": ""}])
    with pytest.raises(DataError, match="labels are required here"):
        load(source_train=write("en.jsonl", EN), target_test=blank)


def test_multi_label(write: Write) -> None:
    rows = [{"text": f"no {n}", "labels": labels} for n, labels in enumerate([["a", "b"], []] * 10)]
    data = load(
        task="multi_label",
        source_train=write("en.jsonl", rows),
        target_test=write("zh.jsonl", [{"text": "一", "labels": ["b"]}]),
    )
    assert data.label_space.names == ("a", "b")
    assert Counter(map(tuple, data.source_validation["en"]["labels"])) == {("a", "b"): 1, (): 1}


def test_pairs(write: Write) -> None:
    rows = [
        {"premise": f"A man is playing, {n}.", "hypothesis": "Someone plays.", "label": label}
        for n, label in enumerate(["entailment", "contradiction"] * 10)
    ]
    data = load(
        task="pair",
        source_train=write("en.jsonl", rows),
        target_test=write(
            "zh.jsonl", [{"前提": "有人在弹琴", "假设": "没人弹琴", "label": "Contradiction"}]
        ),
    )
    assert data.target_test["zh"][0]["text_pair"] == "没人弹琴"


# Leaks


def test_labels_of_unlabelled_text_are_never_read(write: Write) -> None:
    """Any content of the label column, including what would be an error or another class."""
    texts = ["房间很干净", "早餐很一般", "再也不来了"]
    ends = []
    for labels in (["positive"] * 3, ["负面", None, 7], [None] * 3, [{"a": 1}, [], "positive"]):
        rows = [{"text": t, "label": label} for t, label in zip(texts, labels, strict=True)]
        data = load(
            ("source_train", "target_unlabeled"),
            source_train=write("en.jsonl", EN),
            target_unlabeled=write("zh.jsonl", rows),
        )
        ends.append((data.target_unlabeled["zh"].to_list(), data.label_space, data.rejected))
    assert all(end == ends[0] for end in ends)
    unlabelled, space, _ = ends[0]
    assert [row["text"] for row in unlabelled] == texts
    assert all(row.get("label") is None for row in unlabelled)
    assert space.names == ("negative", "positive")


def test_test_rows_in_the_training_data_are_told(write: Write, said) -> None:
    copied = {"text": ZH[0]["text"].replace("，", ","), "label": "positive"}
    load(
        ("source_train", "target_train", "target_test"),
        source_train=write("en.jsonl", EN),
        target_train=write("shots.jsonl", [copied, ZH[1]]),
        target_test=write("hotel.jsonl", ZH),
    )
    assert "2 of the 3 rows of target_test 'hotel' are also in the training data" in said()


def test_no_overlap_no_warning(write: Write, said) -> None:
    load(source_train=write("en.jsonl", EN), target_test=write("zh.jsonl", ZH))
    assert "also in the training data" not in said()


# Arguments


def test_a_role_that_the_recipe_does_not_use_is_ignored_with_a_warning(write: Write, said) -> None:
    data = load(
        ("source_train", "target_test"),
        source_train=write("en.jsonl", EN),
        target_test=write("zh.jsonl", ZH),
        target_train="没有这个文件.jsonl",
    )
    assert "--target_train is not used by this recipe and is ignored" in said()
    assert data.target_train == {}


def test_a_role_that_is_missing_is_named(write: Write) -> None:
    with pytest.raises(ConfigError) as caught:
        load(
            ("source_train", "target_train", "target_test"),
            required=["source_train", "target_train"],
            target_test=write("zh.jsonl", ZH),
        )
    message = str(caught.value)
    assert "needs --source_train and --target_train in addition to --target_test" in message
    assert "leave out all data arguments" in message


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"task": "sequnce"}, ConfigError, "did you mean 'sequence'"),
        ({"label_map": "positive"}, ConfigError, "old=new pairs"),
        ({"text_column": "label"}, ColumnError, "label"),
        ({"label_column": "labl"}, ColumnError, "did you mean 'label'"),
    ],
)
def test_refused(write: Write, options: dict[str, str], error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        load(source_train=write("en.jsonl", EN), target_test=write("zh.jsonl", ZH), **options)


def test_a_label_map_is_checked_without_data_too() -> None:
    with pytest.raises(ConfigError, match="old=new pairs"):
        load(label_map="positive")


def test_tasks_are_the_ones_of_the_package(write: Write) -> None:
    data = load(source_train=write("en.jsonl", EN), target_test=write("zh.jsonl", ZH))
    assert data.task is get_task("sequence")
