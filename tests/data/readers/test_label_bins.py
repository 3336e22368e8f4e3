from __future__ import annotations

import logging
from pathlib import Path

import pytest

from xlingual import DataArguments, load_transfer_data
from xlingual.data.readers.label_bins import bin_of, parse_label_bins
from xlingual.errors import ConfigError, LabelSpaceError


@pytest.mark.parametrize(
    ("spec", "classes"),
    [
        ("negative<=2,positive>=4", {1: "negative", 2: "negative", 3: None, 4: "positive"}),
        ("neg<2, pos>2", {1.99: "neg", 2: None, 2.01: "pos"}),
        ("差评≤2，好评≥4".replace("，", ","), {2: "差评", 4: "好评"}),
        ("low<=2,2<mid<4,4<=high", {2: "low", 3: "mid", 4: "high"}),
        ("low<2,2<=mid<=4,high>4", {2: "mid", 4: "mid", 4.5: "high"}),
        ("no=0,yes=1", {0: "no", 1: "yes", 0.5: None}),
        ("odd<=1,even=2,odd>=3", {1: "odd", 2: "even", 9: "odd"}),
        ("cold<-1.5,warm>=.5", {-2: "cold", -1.5: None, 0.5: "warm"}),
    ],
)
def test_bins(spec: str, classes: dict[float, str | None]) -> None:
    bins = parse_label_bins(spec)
    assert {score: bin_of(score, bins) for score in classes} == classes


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("negative<=3,positive>=3", "'negative' and 'positive' overlap"),
        ("low<2,1<mid<3", "overlap"),
        ("negative", "takes labels with bounds"),
        ("negative<=two", "takes labels with bounds"),
        ("<=2", "takes labels with bounds"),
        ("1<a>2", "takes labels with bounds"),
        ("3<a<2", "no score is in '3<a<2'"),
        ("2<a<2", "no score is in"),
    ],
)
def test_bins_that_make_no_sense(spec: str, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"--label_bins.*{message}"):
        parse_label_bins(spec)


def write(path: Path, labels: list[object]) -> str:
    rows = [f"第{number}条评论，房间还可以,{label}" for number, label in enumerate(labels)]
    path.write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    return str(path)


def load(source: str, target: str, **options: str | None):
    data_args = DataArguments(source_train=source, target_test=target, **options)
    return load_transfer_data(data_args, use=["source_train", "target_test"])


@pytest.mark.parametrize(
    "stars", [[1, 2, 3, 4, 5], ["1星", "2星", "3星", "4星", "5星"], [1.0, 1.5, 3, 4.5, 5]]
)
def test_stars_and_two_classes(tmp_path: Path, stars: list[object]) -> None:
    scored = write(tmp_path / "stars.csv", stars)
    classes = write(tmp_path / "classes.csv", ["negative", "positive"])
    for source, target in ((scored, classes), (classes, scored)):
        with pytest.raises(LabelSpaceError, match='--label_bins "negative<=2,positive>=4"'):
            load(source, target)
        data = load(source, target, label_bins="negative<=2,positive>=4")
        assert data.label_space.names == ("negative", "positive")
        (rejected,) = data.rejected
        assert (rejected["row"], rejected["reason"]) == (4, "a score between the label bins")


def test_scores_are_cut_in_the_message(tmp_path: Path) -> None:
    scored = write(tmp_path / "scores.csv", [number / 40 for number in range(41)])
    classes = write(tmp_path / "classes.csv", ["好评", "差评", "中评"])
    with pytest.raises(
        LabelSpaceError, match=r"0\.2, 0\.225 and 31 more.*look like scores"
    ) as error:
        load(classes, scored)
    flag = '--label_bins "差评<=0.25,0.25<中评<0.75,好评>=0.75"'
    assert flag in str(error.value)
    assert load(classes, scored, label_bins=flag.split('"')[1]).label_space.names == (
        "中评",
        "好评",
        "差评",
    )
    with pytest.raises(LabelSpaceError, match=r'--label_bins "negative<=0\.25,positive>=0\.75"'):
        load(scored, classes)


def test_bins_come_before_the_label_map(tmp_path: Path) -> None:
    source = write(tmp_path / "a.csv", [1, 5])
    target = write(tmp_path / "b.csv", ["差", "好"])
    data = load(source, target, label_bins="low<3,high>3", label_map="low=差,high=好")
    assert set(data.label_space.names) == {"差", "好"}


def test_bins_that_make_one_class_of_a_set_are_said(tmp_path: Path, caplog) -> None:
    caplog.set_level(logging.WARNING)
    source, ids = write(tmp_path / "a.csv", [1, 5]), write(tmp_path / "b.csv", [0, 1])
    load(source, ids, label_bins="negative<=2,positive>=4")
    assert "b.csv: --label_bins turns all of its labels into 'negative'" in caplog.text


def test_bins_are_for_one_label_a_row(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [1, 5])
    with pytest.raises(ConfigError, match="--label_bins is for one label a row"):
        load(path, path, task="multi_label", label_bins="low<3")
