"""Prediction rows: the schema that runs and ``xlingual predict`` both write, and its reader.

A file of predictions is JSON Lines in UTF-8. Each row has its own columns first (``text``,
``domain_name``, or whatever the input file holds), and then

``label``
    The gold label, if it is known; ``null`` for a row without one. ``xlingual predict`` has no gold
    labels: it treats a ``label`` column in its input like any other column.
``prediction``
    The predicted label.
``probability``
    The probability of that label.
``probabilities``
    The probability of every label by name; ``xlingual predict`` adds it on request.

In multi-label tasks, ``label`` and ``prediction`` are lists of names, and ``probability`` has one
number for each name in ``prediction``. Probabilities are rounded to six places.

A run writes the model's own probabilities, and ``xlingual predict`` those after calibration by
``calibration.json``. Files with ``probs`` instead of ``probabilities`` and ``probability`` can be
read as well.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from xlingual.errors import DataError
from xlingual.evaluation.set_scores import LabelPredictions
from xlingual.tasks import IGNORE_INDEX

__all__ = [
    "PredictionRows",
    "json_line",
    "predicted_fields",
    "predictions_path",
    "read_predictions",
    "write_predictions",
]

_ADDED = ("label", "prediction", "probability", "probabilities", "probs")
_DIGITS = 6


class PredictionRows(NamedTuple):
    """A file of predictions.

    Attributes:
        output: Gold labels, predictions and probabilities, in the order of the rows.
        columns: The rows' own columns, such as ``text``; None where a row lacks one.
    """

    output: LabelPredictions
    columns: Mapping[str, list[Any]]


def predictions_path(folder: str | Path, set_name: str) -> Path:
    """The path of a run's predictions for one evaluated set."""
    return Path(folder, f"predictions_{set_name}.jsonl")


def predicted_fields(
    predicted: str | Sequence[str], probabilities: Mapping[str, float]
) -> dict[str, Any]:
    """The fields ``prediction``, ``probability`` and ``probabilities`` of one row.

    Args:
        predicted: The label, or the list of labels in multi-label tasks.
        probabilities: The probability of every label, by name.
    """
    by_name = {name: round(float(value), _DIGITS) for name, value in probabilities.items()}
    if isinstance(predicted, str):
        return {
            "prediction": predicted,
            "probability": by_name[predicted],
            "probabilities": by_name,
        }
    return {
        "prediction": list(predicted),
        "probability": [by_name[name] for name in predicted],
        "probabilities": by_name,
    }


def json_line(record: Mapping[str, Any]) -> bytes:
    """Encode one row as a line of JSON in UTF-8; values without a JSON type become strings."""
    try:
        return (json.dumps(record, ensure_ascii=False, default=str) + "\n").encode()
    except UnicodeEncodeError:  # undecodable bytes are lone surrogates, legal as escapes
        return (json.dumps(record, default=str) + "\n").encode()


def write_predictions(
    path: str | Path,
    output: LabelPredictions,
    *,
    columns: Mapping[str, Sequence[Any]],
    label_names: Sequence[str],
) -> None:
    """Write one line per row: its columns, gold label, prediction and probabilities.

    Args:
        path: The file.
        output: References, predictions and probabilities.
        columns: The rows' own columns, such as their texts, in the order of the rows.
        label_names: Names of the labels in the order of their ids.
    """
    with Path(path).open("wb") as lines:
        for row, (reference, prediction, probs) in enumerate(zip(*output, strict=True)):
            record = {column: values[row] for column, values in columns.items()}
            record["label"] = _names(reference, label_names)
            predicted = _names(prediction, label_names) or []
            by_name = dict(zip(label_names, probs, strict=True))
            lines.write(json_line(record | predicted_fields(predicted, by_name)))


def read_predictions(path: str | Path, *, label_names: Sequence[str]) -> PredictionRows:
    """Read a file from :func:`write_predictions` or ``xlingual predict --probabilities``.

    Args:
        path: A file of predictions.
        label_names: Names of the labels in the order of the returned ids.

    Raises:
        DataError: It cannot be read, has no rows, or has a label or a set of probabilities that
            does not fit ``label_names``.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").split("\n")  # a text may hold U+2028
        rows = [json.loads(line) for line in lines if line]
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as predictions in JSON Lines: {error}") from error
    if not rows:
        raise DataError(f"{path} has no rows; expected one line of JSON per row")
    try:
        output = _output(rows, label_names)
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{path}: expected a prediction and probabilities for the labels "
            f"{', '.join(label_names)} in every row; got a row without them or with other labels "
            f"({error}); write the file with xlingual predict --probabilities"
        ) from error
    names = dict.fromkeys(name for row in rows for name in row if name not in _ADDED)
    return PredictionRows(output, {name: [row.get(name) for row in rows] for name in names})


def _output(rows: Sequence[Mapping[str, Any]], label_names: Sequence[str]) -> LabelPredictions:
    ids = {name: number for number, name in enumerate(label_names)}
    probs = np.array([_probabilities(row, label_names) for row in rows], dtype=float)
    gold, predicted = [row.get("label") for row in rows], [row["prediction"] for row in rows]
    if any(isinstance(value, list) for value in predicted):
        unknown = [IGNORE_INDEX] * len(label_names)
        sets = [
            [unknown if value is None else _indicators(value, ids) for value in values]
            for values in (gold, predicted)
        ]
        return LabelPredictions(np.array(sets[0]), np.array(sets[1]), probs)
    probs = probs / probs.sum(axis=1, keepdims=True)  # they were rounded
    references = [IGNORE_INDEX if value is None else ids[value] for value in gold]
    return LabelPredictions(np.array(references), np.array([ids[p] for p in predicted]), probs)


def _probabilities(row: Mapping[str, Any], label_names: Sequence[str]) -> list[float]:
    by_name = row["probabilities"] if "probabilities" in row else row["probs"]
    return [by_name[name] for name in label_names]


def _indicators(names: Sequence[str], ids: Mapping[str, int]) -> list[int]:
    numbers = {ids[name] for name in names}
    return [int(number in numbers) for number in range(len(ids))]


def _names(value: np.ndarray, label_names: Sequence[str]) -> str | list[str] | None:
    if np.ndim(value):
        if (value == IGNORE_INDEX).all():
            return None
        return [name for name, on in zip(label_names, value, strict=True) if on == 1]
    return label_names[int(value)] if value >= 0 else None
