from __future__ import annotations

import logging
from collections import Counter

import pytest
from datasets import Dataset
from hypothesis import given, settings, strategies as st

from xlingual import sample_few_shot
from xlingual.errors import DataError


def rows(**counts: int) -> Dataset:
    pairs = [
        (f"{label}的第{number}条评论", label)
        for label, count in counts.items()
        for number in range(count)
    ]
    texts, labels = zip(*pairs, strict=True)
    return Dataset.from_dict({"text": texts, "label": labels})


@settings(deadline=None, max_examples=50)
@given(
    st.dictionaries(st.sampled_from(["好评", "中评", "差评"]), st.integers(1, 30), min_size=2),
    st.integers(1, 20),
    st.floats(0, 1),
    st.integers(0, 5),
)
def test_k_of_every_label_split_in_two(
    counts: dict[str, int], shots_per_label: int, held_out_share: float, seed: int
) -> None:
    dataset = rows(**counts)
    training, held_out = sample_few_shot(
        dataset, shots_per_label=shots_per_label, held_out_share=held_out_share, seed=seed
    )
    texts = [*training["text"], *held_out["text"]]
    assert len(set(texts)) == len(texts), "a shot is in one part only"
    assert set(texts) <= set(dataset["text"])
    trained, kept = Counter(training["label"]), Counter(held_out["label"])
    for label, count in counts.items():
        taken = min(shots_per_label, count)
        assert trained[label] + kept[label] == taken
        assert trained[label] >= 1
        assert kept[label] >= 1 or taken == 1
        if taken > 1:
            wanted = max(1, round(held_out_share * taken))
            assert kept[label] == min(wanted, taken - 1)


def test_the_seed_decides_the_sample() -> None:
    dataset = rows(好评=50, 差评=50)
    samples = [
        tuple(sample_few_shot(dataset, shots_per_label=4, seed=seed)[0]["text"])
        for seed in (0, 0, 1, 2)
    ]
    assert samples[0] == samples[1]
    assert len(set(samples)) == 3


def test_the_sample_does_not_depend_on_other_labels() -> None:
    """A label added to the file later leaves the shots before it in the order as they were."""
    few = sample_few_shot(rows(a=30, b=30), shots_per_label=4)[0]
    more = sample_few_shot(rows(a=30, b=30, c=30), shots_per_label=4)[0]
    assert few["text"][:] == more["text"][: len(few)]


def test_unlabelled_rows_are_left_out() -> None:
    dataset = Dataset.from_dict({"text": ["一", "二", "三"], "label": ["好评", None, "差评"]})
    training, held_out = sample_few_shot(dataset, shots_per_label=5)
    assert sorted(training["text"]) == ["一", "三"]
    assert len(held_out) == 0


def test_spellings_of_one_label_share_its_shots() -> None:
    labels = ["Positive", "positive", "POSITIVE", "negative"] * 5
    dataset = Dataset.from_dict({"text": list("一二三四五六七八九十") * 2, "label": labels})
    training, held_out = sample_few_shot(dataset, shots_per_label=4)
    counts = Counter(label.lower() for label in [*training["label"], *held_out["label"]])
    assert counts == {"positive": 4, "negative": 4}


def test_too_few_rows_are_all_used_and_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="xlingual"):
        training, held_out = sample_few_shot(rows(好评=3, 差评=20), shots_per_label=8)
    assert "label '好评' has 3 target rows, fewer than the 8 shots" in caplog.text
    assert Counter([*training["label"], *held_out["label"]]) == {"好评": 3, "差评": 8}


def test_other_columns_travel_along() -> None:
    dataset = rows(好评=4, 差评=4).add_column("weight", [0.5] * 8)
    training, held_out = sample_few_shot(dataset, shots_per_label=2)
    assert training.column_names == held_out.column_names == ["text", "label", "weight"]


@pytest.mark.parametrize("shots_per_label", [0, -1])
def test_k_is_positive(shots_per_label: int) -> None:
    with pytest.raises(DataError, match=f"at least 1; got {shots_per_label}"):
        sample_few_shot(rows(好评=3, 差评=3), shots_per_label=shots_per_label)


@pytest.mark.parametrize("labels", [["好评", "好评"], [None, None]])
def test_two_labels_are_needed(labels: list[str | None]) -> None:
    dataset = Dataset.from_dict({"text": ["一", "二"], "label": labels})
    with pytest.raises(DataError, match="at least two labels; got"):
        sample_few_shot(dataset, shots_per_label=1)


def test_rows_without_a_label_column() -> None:
    with pytest.raises(DataError, match="needs the column 'label'; the data set has text"):
        sample_few_shot(Dataset.from_dict({"text": ["一"]}), shots_per_label=1)


def test_several_labels_a_row_are_refused() -> None:
    dataset = Dataset.from_dict({"text": ["一", "二"], "labels": [["a", "b"], ["a"]]})
    with pytest.raises(DataError, match="one label per row; got a list"):
        sample_few_shot(dataset, shots_per_label=1, label_column="labels")
