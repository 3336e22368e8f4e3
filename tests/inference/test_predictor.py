"""A saved model gives the labels and probabilities that it gave in training."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from scipy.special import expit, softmax
from transformers import (
    pipeline,
)

from tests.classifiers import (
    save_classifier,
)
from tests.conftest import POSITIVE
from tests.inference.plain import LABELS, TEXTS, logits_of, write_json
from xlingual.data import DataSource, encode, load_source
from xlingual.errors import ConfigError, ModelLoadError
from xlingual.inference import Predictor
from xlingual.inference.text_encoding import encode_texts
from xlingual.labels import LabelSpace
from xlingual.tasks import get_task

MESSY = [
    "\ufeff　房间很\u200b干净。 \r\n",
    "Great\x00 service\x0band\ra friendly front desk.",
    "床很舒服，早餐不錯👩\u200d👩\u200d👧，ＷｉＦｉ很快\u200d！",
    "位置\u202e极好 \u2028 WiFi很快",
]


@pytest.mark.parametrize("name", ["bert", "xlm-r", "deberta-v3", "modernbert"])
def test_same_answers_as_the_pipeline_of_transformers(encoders, tmp_path, name):
    folder = save_classifier(encoders[name], tmp_path / "model", labels=LABELS)
    expected = pipeline("text-classification", model=str(folder), device=-1)(TEXTS)
    found = Predictor.from_pretrained(folder, device="cpu").predict(TEXTS)
    assert [answer.label for answer in found] == [answer["label"] for answer in expected]
    scores = [answer["score"] for answer in expected]
    assert [answer.probability for answer in found] == pytest.approx(scores, abs=1e-4)
    assert len({answer.label for answer in found}) > 1  # or the test would say little
    assert found[0].probabilities.keys() == {*LABELS}


def test_any_order_and_any_budget_give_the_same_answers(predictor, folder):
    texts = [text * (1 + place % 3) for place, text in enumerate(TEXTS)]
    expected = predictor.predict(texts)
    order = list(range(len(texts)))
    random.Random(0).shuffle(order)
    for budget in (1, 64, 100_000):
        other = Predictor.from_pretrained(folder, device="cpu", token_budget=budget)
        found = other.predict([texts[place] for place in order])
        for place, answer in zip(order, found, strict=True):
            assert answer.label == expected[place].label
            assert answer.probability == pytest.approx(expected[place].probability, abs=1e-5)


def test_probabilities_use_the_fitted_temperature(copy):
    write_json(copy / "calibration.json", {"calibration_temperature": 2.5, "fitted_on": "en"})
    logits = logits_of(copy, TEXTS)
    exponentials = np.exp(logits / 2.5)
    expected = exponentials / exponentials.sum(axis=1, keepdims=True)
    found = Predictor.from_pretrained(copy, device="cpu").predict(TEXTS)
    rows = [[answer.probabilities[name] for name in LABELS] for answer in found]
    np.testing.assert_allclose(rows, expected, atol=1e-5)
    assert abs(expected - softmax(logits, axis=1)).max() > 0.05


@pytest.mark.parametrize("value", [0, -1, "hot", None, float("inf"), float("nan")])
def test_an_impossible_temperature_is_refused(copy, value):
    write_json(copy / "calibration.json", {"calibration_temperature": value})
    with pytest.raises(ModelLoadError, match="calibration_temperature"):
        Predictor.from_pretrained(copy)


def test_multi_label(encoders, tmp_path):
    folder = save_classifier(
        encoders["bert"],
        tmp_path / "model",
        labels=LABELS,
        problem_type="multi_label_classification",
    )
    write_json(folder / "calibration.json", {"calibration_temperature": 2.0})
    logits = logits_of(folder, TEXTS)
    found = Predictor.from_pretrained(folder, device="cpu").predict(TEXTS)
    rows = [[answer.probabilities[name] for name in LABELS] for answer in found]
    np.testing.assert_allclose(rows, expit(logits / 2.0), atol=1e-5)
    for answer, row in zip(found, logits, strict=True):
        assert answer.labels == tuple(
            name for name, logit in zip(LABELS, row, strict=True) if logit > 0
        )
        assert answer.label == (LABELS[row.argmax()] if row.max() > 0 else None)


def test_pairs_in_either_form(predictor, folder):
    first, second = [list(side) for side in zip(*POSITIVE, strict=True)]
    expected = softmax(logits_of(folder, first, second), axis=1)
    for found in (
        predictor.predict(list(zip(first, second, strict=True))),
        predictor.predict(first, text_pairs=second),
    ):
        rows = [[answer.probabilities[name] for name in LABELS] for answer in found]
        np.testing.assert_allclose(rows, expected, atol=1e-5)
    swapped = predictor.predict(second, text_pairs=first)
    assert any(
        abs(a.probability - b.probability) > 1e-4 for a, b in zip(found, swapped, strict=True)
    )


@pytest.mark.parametrize("task", ["sequence", "pair"])
def test_token_ids_are_those_of_training(predictor, tmp_path, task):
    """Texts as a file may hold them: through the loader and encode(), and through Predictor."""
    rows = [{"text": a, "text_pair": b} for a, b in zip(MESSY, reversed(MESSY), strict=True)]
    rows.append({"text": "床很舒服" * 60, "text_pair": "服务很好" * 60})
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    loaded = load_source(DataSource("rows", str(path)), task=get_task(task), labels="drop")
    trained = encode(
        loaded.dataset,
        tokenizer=predictor.tokenizer,
        task=get_task(task),
        label_space=LabelSpace(LABELS),
        max_length=predictor.max_length,
    )
    seen: list[list[int]] = []

    def session(batch):
        lengths = batch["attention_mask"].sum(axis=1)
        ids = zip(batch["input_ids"], lengths, strict=True)
        seen.extend(row[:length].tolist() for row, length in ids)
        return np.zeros((len(lengths), 2), dtype="float32")

    watched = Predictor(
        session,
        predictor.tokenizer,
        label_names=("a", "b"),
        max_length=predictor.max_length,
        token_budget=1,
    )
    asked = [(row["text"], row["text_pair"]) if task == "pair" else row["text"] for row in rows]
    answers = watched.predict(asked)
    assert sorted(seen) == sorted(trained["input_ids"][:])
    assert [answer.truncated for answer in answers] == [False] * 4 + [True]


@pytest.mark.parametrize(
    "text", ["床很舒服" * 9_000, "床" + " " * 40_000 + "很舒服", "room " * 9_000, "x" * 50_000]
)
def test_of_a_book_only_the_beginning_is_tokenised(predictor, text):
    (row,), (is_cut,) = encode_texts(predictor.tokenizer, [(text,)], max_length=66)
    expected = predictor.tokenizer(text, truncation=True, max_length=66)
    assert row == dict(expected)
    assert is_cut == (len(expected["input_ids"]) == 66)


def test_max_length_is_that_of_training_and_never_beyond_the_positions(copy, encoders, tmp_path):
    (copy / "run_config.yaml").write_text("max_length: 17\ntask: pair\n", encoding="utf-8")
    found = Predictor.from_pretrained(copy)
    assert (found.max_length, found.takes_pairs) == (17, True)
    assert Predictor.from_pretrained(copy, max_length=9).max_length == 9
    for name, positions in (("bert", 66), ("xlm-r", 65)):
        folder = save_classifier(encoders[name], tmp_path / name, labels=LABELS)
        (folder / "run_config.yaml").write_text("max_length: 128\n", encoding="utf-8")
        found = Predictor.from_pretrained(folder, device="cpu")
        assert found.max_length == positions
        assert found.predict(["床很舒服，" * 100])[0].truncated  # and no position is out of range
        with pytest.raises(ConfigError, match="max_length"):
            Predictor.from_pretrained(folder, max_length=500)


def test_rows_without_a_text_have_no_answer_and_disturb_no_other(predictor):
    odd = [None, "", "　\u200b\ufeff", "\0", 7, ["a"], ("a",), ("a", None), float("nan"), "\ud83d"]
    fine = ["😀", "a\0b", "Ｇｒｅａｔ　ＷｉＦｉ", "一點也不差", "床" * 10_000, "﷽ ẞ ½", "\u0301"]
    mixed = [row for pair in zip(odd, odd, strict=True) for row in (pair[0], "床很舒服。")]
    found = predictor.predict(mixed + fine)
    assert len(found) == len(mixed) + len(fine)
    for answer in found[0 : len(mixed) : 2]:
        assert (answer.label, answer.probability) == (None, None)
        assert answer.error
    assert found[0].error == "no text"
    assert found[2].error == "empty text"
    (alone,) = predictor.predict(["床很舒服。"])
    for answer in (*found[1 : len(mixed) : 2], *found[len(mixed) :]):
        assert answer.label in LABELS
    assert found[1].probability == pytest.approx(alone.probability, abs=1e-6)
    assert predictor.predict([]) == []


def test_misuse_is_named(predictor):
    with pytest.raises(ConfigError, match="list of texts"):
        predictor.predict("one text")
    with pytest.raises(ConfigError, match="one text per row"):
        predictor.predict(["a", "b"], text_pairs=["c"])


def test_logits_that_are_not_numbers_are_no_answer(predictor):
    def overflows(batch):
        return np.full((len(batch["input_ids"]), 2), np.nan, dtype="float32")

    broken = Predictor(overflows, predictor.tokenizer, label_names=("a", "b"))
    (answer,) = broken.predict(["床很舒服。"])
    assert answer.label is None
    assert "finite" in answer.error
