from __future__ import annotations

from collections import Counter

import pytest
from datasets import Dataset

from xlingual import LabelSpace, get_task, mix_domains
from xlingual.data import encode
from xlingual.errors import ColumnError, ConfigError, DataError
from xlingual.transfer.data.code_switching import code_switch

WORDS = {
    "room": ["房间", "屋", "室"],
    "clean": ["干净"],
    "dirty": ["脏"],
    "city": ["城市"],
    "love": ["爱"],
    "stay": ["住"],
    "well-known": ["著名"],
}
ALWAYS = {"sentence_probability": 1.0, "token_probability": 1.0}


def rows(*texts: str, **columns) -> Dataset:
    return Dataset.from_dict({"text": list(texts), **columns})


def switched(text: str, **settings) -> str:
    return code_switch(rows(text), WORDS, **{**ALWAYS, **settings})["view_text"][0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Clean, but small.", "干净, but small."),
        ("CLEAN city's hotels", "干净 城市 hotels"),
        (
            "Two cities we loved, staying in a well-known hotel!",
            "Two 城市 we 爱, 住 in a 著名 hotel!",
        ),
        ("unclean roomy WiFi，房间 clean", "unclean roomy WiFi，房间 干净"),
    ],
)
def test_words_and_their_endings(text, expected):
    words = {word: translations[:1] for word, translations in WORDS.items()}
    assert code_switch(rows(text), words, **ALWAYS)["view_text"][0] == expected


def test_the_usual_sense_comes_in_seven_of_ten():
    text = " ".join(["room"] * 4000)
    counts = Counter(switched(text).split())
    assert counts["房间"] / 4000 == pytest.approx(0.7, abs=0.03)
    assert counts["屋"] / 4000 == pytest.approx(0.15, abs=0.03)
    assert counts["室"] / 4000 == pytest.approx(0.15, abs=0.03)


def test_shares_of_rows_and_words():
    found = code_switch(rows(*["clean " * 20] * 500), WORDS)["view_text"]
    views = [view for view in found if view is not None]
    assert len(views) / 500 == pytest.approx(0.65, abs=0.07)
    switched_words = sum(view.count("干净") for view in views)
    assert switched_words / (20 * len(views)) == pytest.approx(0.3, abs=0.03)


def test_a_seed_decides_and_the_rows_stay():
    data = rows(*["clean dirty city"] * 20, label=["good"] * 20)
    one, again, other = (code_switch(data, WORDS, seed=seed) for seed in (0, 0, 1))
    assert one["view_text"][:] == again["view_text"][:]
    assert one["view_text"][:] != other["view_text"][:]
    assert one["text"][:] == data["text"][:]
    assert one["label"][:] == data["label"][:]
    assert data.column_names == ["text", "label"]


def test_copies_have_views_of_their_own():
    found = code_switch(rows(*["clean dirty city room"] * 10), WORDS, num_copies=3)
    assert len(found) == 30
    views = [found["view_text"][10 * i : 10 * i + 10] for i in range(3)]
    assert views[0] != views[1] != views[2]
    again = code_switch(found, WORDS, seed=4)
    assert again.column_names == found.column_names, "older views are replaced"


def test_pairs_are_switched_on_both_sides(tokenizer):
    data = rows("A clean room", text_pair=["The room was dirty"], label=["contradiction"])
    words = {**WORDS, "room": ["房间"]}
    found = code_switch(data, words, **ALWAYS)
    assert found["view_text"][0] == "A 干净 房间"
    assert found["view_text_pair"][0] == "The 房间 was 脏"
    one_side = code_switch(data, words, **ALWAYS, text_columns=["text_pair"])
    assert "view_text" not in one_side.column_names
    space = LabelSpace(("contradiction", "entailment"))
    for dataset, expected in (
        (found, ("A 干净 房间", "The 房间 was 脏")),
        (one_side, ("A clean room", "The 房间 was 脏")),
    ):
        task = get_task("pair")
        row = encode(dataset, tokenizer=tokenizer, task=task, label_space=space)[0]
        assert row["view_input_ids"] == tokenizer(*expected)["input_ids"]
        assert row["input_ids"] == tokenizer("A clean room", "The room was dirty")["input_ids"]


def test_target_rows_of_a_mixed_set_have_no_view():
    mixed = mix_domains({"en": rows("so clean")}, {"zh": rows("房间 clean", *["很脏"] * 5)})
    views = code_switch(mixed, WORDS, **ALWAYS)["view_text"][:]
    assert views == ["so 干净", *[None] * 6]


@pytest.mark.parametrize(
    ("dictionary", "way"),
    [({"房间": ["room"]}, "zh to en"), ({"room": ["chambre"]}, "en to en"), ({}, "und to und")],
)
def test_a_dictionary_in_the_wrong_direction(dictionary, way):
    with pytest.raises(DataError, match=f"from English .* to Chinese .*; got {way}"):
        code_switch(rows("a room"), dictionary)


def test_rows_in_the_wrong_language():
    with pytest.raises(DataError, match="these rows are Chinese; give it the source rows"):
        code_switch(rows("房间很大", "早餐难吃", "clean"), WORDS)


def test_a_dictionary_of_other_words():
    with pytest.raises(DataError, match="dictionary of 7 words knows none"):
        code_switch(rows("an unrelated sentence"), WORDS)


@pytest.mark.parametrize(
    "settings", [{"sentence_probability": 1.5}, {"token_probability": -0.1}, {"num_copies": 0}]
)
def test_bad_settings(settings):
    with pytest.raises(ConfigError, match="code-switching needs probabilities"):
        code_switch(rows("clean"), WORDS, **settings)


def test_a_column_that_is_not_there():
    with pytest.raises(ColumnError, match="needs the column\\(s\\) body; the data set has text"):
        code_switch(rows("clean"), WORDS, text_columns=["body"])
