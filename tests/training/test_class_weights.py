from __future__ import annotations

import pytest
import torch
from datasets import Dataset, Features, List, Value

from xlingual.errors import ConfigError, LabelSpaceError
from xlingual.labels import LabelSpace
from xlingual.tasks import get_task
from xlingual.training.class_weights import resolve_class_weights

SPACE = LabelSpace(("差评", "中评", "好评"))


def weigh(spec: str, labels: list | None = None, *, task: str = "sequence"):
    column = get_task(task).label_column
    feature = List(Value("string")) if task == "multi_label" else Value("string")
    rows = None
    if labels is not None:
        rows = Dataset.from_dict({column: labels}, features=Features({column: feature}))
    return resolve_class_weights(spec, rows, task=get_task(task), label_space=SPACE)


def test_none() -> None:
    assert weigh("none", ["好评"]) is None


@pytest.mark.parametrize("spec", ["差评=2,好评=0.5", " 好评 = 0.5 , 差评=2 "])
def test_by_name(spec: str) -> None:
    weights = weigh(spec)
    assert weights is not None
    assert weights.tolist() == [2.0, 1.0, 0.5]


def test_auto_is_the_inverse_frequency_with_mean_one() -> None:
    labels = ["好评"] * 6 + ["差评"] * 3 + ["中评"] * 1 + [None] * 4
    weights = weigh("auto", labels)
    assert weights is not None
    torch.testing.assert_close(weights, torch.tensor([10 / 9, 10 / 3, 10 / 18]))
    of_rows = [weights[SPACE.id_of(label)] for label in labels if label]
    assert sum(of_rows) / 10 == pytest.approx(1.0)


def test_auto_counts_names_in_any_spelling() -> None:
    space = LabelSpace(("negative", "positive"))
    rows = Dataset.from_dict({"label": ["Positive", "POSITIVE", "positive", "negative"]})
    weights = resolve_class_weights("auto", rows, task=get_task("pair"), label_space=space)
    assert weights is not None
    torch.testing.assert_close(weights, torch.tensor([2.0, 2 / 3]))


def test_auto_with_a_class_that_has_no_row_is_finite() -> None:
    weights = weigh("auto", ["好评", "差评", "差评"])
    assert weights is not None
    assert torch.isfinite(weights).all()
    torch.testing.assert_close(weights[[0, 2]], torch.tensor([0.5, 1.0]))


def test_auto_of_multi_label_weighs_the_positive_term() -> None:
    rows = [["好评"], ["好评", "中评"], [], ["好评"], None]
    weights = weigh("auto", rows, task="multi_label")
    assert weights is not None
    torch.testing.assert_close(weights[1:], torch.tensor([3.0, 1 / 3]))
    assert torch.isfinite(weights).all()  # no row is 差评: its positive term never occurs


@pytest.mark.parametrize("labels", [None, [None, None]])
def test_auto_needs_labelled_rows(labels: list | None) -> None:
    with pytest.raises(ConfigError, match="auto counts the labels of the training rows"):
        weigh("auto", labels)


@pytest.mark.parametrize(
    "spec",
    ["好评", "好评=", "好评=多", "好评=0", "好评=-1", "好评=nan", "好评=inf", "AUTO", "好评=1,"],
)
def test_malformed(spec: str) -> None:
    with pytest.raises(ConfigError, match="none, auto, or positive weights by name"):
        weigh(spec)


def test_unknown_name() -> None:
    with pytest.raises(LabelSpaceError, match=r"'好平'.*expected one of 差评, 中评, 好评"):
        weigh("好平=2")
