"""One schema of prediction rows: what a run writes is read back, and older files are too."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from xlingual.errors import DataError
from xlingual.evaluation import LabelPredictions, read_predictions, write_predictions

NAMES = ("差评", "好评")
TEXTS = ["房间\u2028很干净", "早餐太差了", "前台很热情"]
SINGLE = LabelPredictions(
    np.array([1, 0, -100]),
    np.array([1, 1, 0]),
    np.array([[0.25, 0.75], [0.4, 0.6], [0.9, 0.1]]),
)
SEVERAL = LabelPredictions(
    np.array([[1, 0], [0, 0], [-100, -100]]),
    np.array([[1, 1], [0, 0], [0, 1]]),
    np.array([[0.9, 0.6], [0.1, 0.2], [0.3, 0.7]]),
)


def write_lines(path: Path, *rows: dict) -> Path:
    path.write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
    )
    return path


@pytest.mark.parametrize("output", [SINGLE, SEVERAL])
def test_what_is_written_is_read_back(tmp_path, output) -> None:
    path = tmp_path / "predictions_zh.jsonl"
    write_predictions(path, output, columns={"text": TEXTS}, label_names=NAMES)
    found = read_predictions(path, label_names=NAMES)
    for expected, value in zip(output, found.output, strict=True):
        np.testing.assert_allclose(value, expected, atol=1e-6)
    assert found.columns == {"text": TEXTS}
    assert "差评" in path.read_text(encoding="utf-8"), "UTF-8 and no escapes"


def test_the_schema(tmp_path) -> None:
    path = tmp_path / "predictions_zh.jsonl"
    write_predictions(path, SINGLE, columns={"text": TEXTS}, label_names=NAMES)
    first, *_, last = (json.loads(line) for line in path.read_text("utf-8").split("\n") if line)
    assert first == {
        "text": TEXTS[0],
        "label": "好评",
        "prediction": "好评",
        "probability": 0.75,
        "probabilities": {"差评": 0.25, "好评": 0.75},
    }
    assert last["label"] is None
    write_predictions(path, SEVERAL, columns={}, label_names=NAMES)
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [row["probability"] for row in rows] == [[0.9, 0.6], [], [0.7]]
    assert [row["label"] for row in rows] == [["差评"], [], None]


def test_the_ids_follow_the_names_that_are_asked_for(tmp_path) -> None:
    path = tmp_path / "predictions_zh.jsonl"
    write_predictions(path, SINGLE, columns={}, label_names=NAMES)
    turned = read_predictions(path, label_names=NAMES[::-1]).output
    assert turned.predictions.tolist() == [0, 0, 1]
    np.testing.assert_allclose(turned.probs, SINGLE.probs[:, ::-1])


def test_files_of_older_runs_are_read(tmp_path) -> None:
    row = {"text": "房间很干净", "label": "好评", "prediction": "好评"}
    path = write_lines(tmp_path / "old.jsonl", {**row, "probs": {"差评": 0.2, "好评": 0.8}})
    found = read_predictions(path, label_names=NAMES)
    assert found.output.predictions.tolist() == [1]
    assert found.output.probs.tolist() == [[0.2, 0.8]]
    assert found.columns == {"text": ["房间很干净"]}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "has no rows"),
        ([{"prediction": "好评"}], "predict --probabilities"),
        ([{"prediction": "好评", "probabilities": {"好评": 1.0}}], "差评, 好评"),
        (
            [{"label": "体育", "prediction": "好评", "probabilities": {"差评": 0.1, "好评": 0.9}}],
            "with other labels \\('体育'\\)",
        ),
    ],
)
def test_files_that_do_not_fit(tmp_path, rows, said) -> None:
    path = write_lines(tmp_path / "rows.jsonl", *rows)
    with pytest.raises(DataError, match=said):
        read_predictions(path, label_names=NAMES)


@pytest.mark.parametrize("content", [None, "评论,标签\n"])
def test_files_that_are_no_json_lines(tmp_path, content) -> None:
    path = tmp_path / "rows.jsonl"
    if content:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match="cannot be read as predictions in JSON Lines"):
        read_predictions(path, label_names=NAMES)
