"""Held-out rows: the same share of every label, determined by the seed."""

from __future__ import annotations

from collections import Counter

from datasets import Dataset

from xlingual.data.holdout import hold_out, hold_out_validation


def labelled(**counts: int) -> Dataset:
    labels = [label for label, count in counts.items() for _ in range(count)]
    texts = [f"{label}第{number}条" for number, label in enumerate(labels)]
    return Dataset.from_dict({"text": texts, "label": labels})


def test_hold_out_takes_the_same_share_of_every_label() -> None:
    rows = labelled(好评=40, 差评=20, 中评=3, 退款=1)
    rest, held = hold_out(rows, share=0.1)
    assert Counter(held["label"]) == {"好评": 4, "差评": 2, "中评": 1}
    assert Counter(rest["label"]) == {"好评": 36, "差评": 18, "中评": 2, "退款": 1}
    assert sorted([*rest["text"], *held["text"]]) == sorted(rows["text"])
    position = {text: row for row, text in enumerate(rows["text"])}
    for part in (rest, held):
        order = [position[text] for text in part["text"]]
        assert order == sorted(order), "in the order of the file"


def test_hold_out_is_decided_by_the_seed() -> None:
    rows = labelled(好评=40, 差评=40)
    held = [tuple(hold_out(rows, seed=seed)[1]["text"]) for seed in (0, 0, 1)]
    assert held[0] == held[1] != held[2]


def test_hold_out_of_label_sets() -> None:
    rows = Dataset.from_dict({"labels": [["a"], ["a", "b"]] * 10})
    rest, held = hold_out(rows, label_column="labels")
    assert sorted(held["labels"]) == [["a"], ["a", "b"]]
    assert len(rest) == 18


def test_too_small_a_set_keeps_its_rows() -> None:
    sets = {"books": labelled(好评=20, 差评=20), "films": labelled(好评=1, 差评=1)}
    training, validation = hold_out_validation(sets)
    assert {name: len(rows) for name, rows in training.items()} == {"books": 36, "films": 2}
    assert {name: len(rows) for name, rows in validation.items()} == {"books": 4}
    assert len(sets["books"]) == 40, "what was given stays as it is"
