from __future__ import annotations

import pytest
from datasets import Dataset, Features, Value

from xlingual import mix_domains
from xlingual.errors import DataError

BOOKS = Dataset.from_dict(
    {
        "text": ["A fine read.", "Dull."],
        "label": ["positive", "negative"],
        "domain_name": ["b", "b"],
    }
)
FILMS = Dataset.from_dict({"label": ["negative"], "text": ["Two hours lost."], "stars": [1]})
HOTEL = Dataset.from_dict(
    {"text": ["房間很舊。", "很满意"], "label": ["negative", "positive"], "weight": [0.5, 2.0]}
)


def test_rows_carry_domain_name_and_weight() -> None:
    mixed = mix_domains(
        {"books": BOOKS, "films": FILMS},
        {"酒店": HOTEL},
        source_weights={"films": 0.25},
        target_weights={"酒店": 3.0},
    )
    assert mixed.to_list() == [
        {"text": text, "label": label, "domain": domain, "domain_name": name, "weight": weight}
        for text, label, domain, name, weight in [
            ("A fine read.", "positive", 0, "books", 1.0),
            ("Dull.", "negative", 0, "books", 1.0),
            ("Two hours lost.", "negative", 0, "films", 0.25),
            ("房間很舊。", "negative", 1, "酒店", 1.5),
            ("很满意", "positive", 1, "酒店", 6.0),
        ]
    ]


def test_mixing_again_keeps_the_weights_of_rows() -> None:
    once = mix_domains({"books": BOOKS}, source_weights={"books": 0.5})
    twice = mix_domains({"all": once}, source_weights={"all": 0.5})
    assert twice["weight"][:] == [0.25, 0.25]
    assert twice["domain"][:] == [0, 0]


def test_targets_alone() -> None:
    assert mix_domains({}, {"hotel": HOTEL})["domain"][:] == [1, 1]


@pytest.mark.parametrize("side", ["source", "target"])
def test_an_unlabelled_set_does_not_take_the_labels_of_the_others(side: str) -> None:
    unlabelled = {"zh": HOTEL.remove_columns("label")}
    sets = (unlabelled, {"en": BOOKS}) if side == "source" else ({"en": BOOKS}, unlabelled)
    mixed = mix_domains(*sets)
    labels = dict(zip(mixed["text"], mixed["label"], strict=True))
    assert labels == {
        "A fine read.": "positive",
        "Dull.": "negative",
        "房間很舊。": None,
        "很满意": None,
    }


def test_unlabelled_rows_as_the_loader_leaves_them() -> None:
    features = Features({"text": Value("string"), "label": Value("string")})
    unlabelled = Dataset.from_dict({"text": ["还行"], "label": [None]}, features=features)
    assert mix_domains({"en": BOOKS}, {"zh": unlabelled})["label"][2] is None


def test_no_sets() -> None:
    with pytest.raises(DataError, match="at least one data set"):
        mix_domains({}, {})


def test_a_weight_without_a_set() -> None:
    with pytest.raises(DataError, match="unknown data sets: hotle; expected names among: hotel"):
        mix_domains({"books": BOOKS}, {"hotel": HOTEL}, target_weights={"hotle": 2.0})


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_weights_are_positive_numbers(weight: float) -> None:
    with pytest.raises(DataError, match="must be positive"):
        mix_domains({"books": BOOKS}, source_weights={"books": weight})


def test_the_views_of_both_sides_of_a_pair_stay():
    rows = Dataset.from_dict({"text": ["a"], "text_pair": ["b"], "label": ["x"]})
    views = rows.add_column("view_text", ["甲"]).add_column("view_text_pair", ["乙"])
    mixed = mix_domains({"en": views}, {"zh": rows})
    assert mixed["view_text"][:] == ["甲", None]
    assert mixed["view_text_pair"][:] == ["乙", None]
