from __future__ import annotations

import pytest

from xlingual.data.readers.cleaning import UnusableRowError
from xlingual.data.readers.label_values import LabelReader
from xlingual.labels import LabelSpace


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("positive", "positive"),
        (" 正面\u3000", "正面"),
        (1, "1"),
        (-1, "-1"),
        (1.0, "1"),
        ("1.0", "1"),
        ("1.5", "1.5"),
        (0.5, "0.5"),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        ("", None),
        ("  ", None),
        (None, None),
        (float("nan"), None),
    ],
)
def test_labels_become_strings(value: object, name: str | None) -> None:
    assert LabelReader().read_label(value) == name


def test_stored_names() -> None:
    reader = LabelReader(names=["negative", "positive"])
    assert [reader.read_label(value) for value in (0, 1, 1.0, -1)] == [
        "negative",
        "positive",
        "positive",
        None,
    ]
    with pytest.raises(UnusableRowError, match=r"outside 0\.\.1"):
        reader.read_label(2)


def test_renaming_matches_any_case_and_width() -> None:
    reader = LabelReader(label_map={"POS": "positive", "0": "negative", "正面": "positive"})
    values = ["pos", "ＰＯＳ", 0, "0.0", "正面", "neutral"]
    expected = ["positive", "positive", "negative", "negative", "positive", "neutral"]
    assert [reader.read_label(value) for value in values] == expected


def test_label_space_gives_its_spelling_and_refuses_others() -> None:
    reader = LabelReader(label_space=LabelSpace(("negative", "positive")))
    assert reader.read_label("Positive") == "positive"
    with pytest.raises(UnusableRowError, match="unknown label 'neutral'"):
        reader.read_label("neutral")


@pytest.mark.parametrize("value", [["a"], {"a": 1}, b"a"])
def test_what_is_no_label(value: object) -> None:
    with pytest.raises(UnusableRowError, match="not a name or number"):
        LabelReader().read_label(value)


@pytest.mark.parametrize(
    ("value", "labels"),
    [
        (["service", "价格"], ["service", "价格"]),
        ("service | 价格|service", ["service", "价格"]),
        ("service", ["service"]),
        ([0, 1], ["0", "1"]),
        (3, ["3"]),
        ([], []),
        ("", None),
        (None, None),
        (float("nan"), None),
    ],
)
def test_several_labels(value: object, labels: list[str] | None) -> None:
    assert LabelReader().read_labels(value) == labels


def test_an_empty_label_among_several() -> None:
    with pytest.raises(UnusableRowError, match="one of the labels is empty"):
        LabelReader().read_labels(["a", None])


def test_tags() -> None:
    reader = LabelReader(label_map={"PERSON": "PER", "B-GPE": "B-LOC"})
    assert reader.read_tags(["O", "B-Person", "I-PERSON", "B-GPE"]) == [
        "O",
        "B-PER",
        "I-PER",
        "B-LOC",
    ]
    assert reader.read_tags("O B-PER") == ["O", "B-PER"]
    assert LabelReader(names=["O", "B-LOC"]).read_tags([1, 0]) == ["B-LOC", "O"]
    assert reader.read_tags(None) is None
    assert reader.read_tags([]) is None


@pytest.mark.parametrize("value", [["O", None], 3, {"a": 1}])
def test_unusable_tags(value: object) -> None:
    with pytest.raises(UnusableRowError):
        LabelReader().read_tags(value)
