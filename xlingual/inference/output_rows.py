"""Output rows: each input row, followed by the model's prediction."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from xlingual.data.readers.tables import Row
from xlingual.evaluation.prediction_rows import json_line, predicted_fields
from xlingual.inference.input_rows import InputColumns
from xlingual.inference.output_formats import TableColumns
from xlingual.inference.predictor import Predictor
from xlingual.inference.results import Prediction

__all__ = ["AnsweredRows"]

logger = logging.getLogger(__name__)

_ADDED = (
    "prediction", "probability", "probabilities", "prediction_tags", "prediction_truncated",
    "prediction_error", "prediction_raw",
)  # fmt: skip
_DIGITS = 6


class AnsweredRows:
    """Turns input rows into JSON lines with predictions, and counts the rows without one.

    Args:
        predictor: The model.
        inputs: The columns that the model reads.
        columns: The columns of the input; if one has the name of an added column, the added one is
            renamed.
        with_probabilities: Whether the probability of every label is written.

    Attributes:
        columns: The columns of the input, and those that are added.
        counts: Rows without a prediction and truncated rows, so far.
    """

    def __init__(
        self,
        predictor: Predictor,
        *,
        inputs: InputColumns,
        columns: Iterable[str],
        with_probabilities: bool,
    ) -> None:
        self.predictor = predictor
        self.inputs = inputs
        self.with_probabilities = with_probabilities
        self.counts = {"errors": 0, "truncated": 0}
        own = tuple(columns)
        added = {name: f"xlingual_{name}" if name in own else name for name in _ADDED}
        self.columns = TableColumns(own, added, predictor.label_names)
        renamed = [name for name in _ADDED if name in own]
        if renamed:
            logger.warning(
                "the input already has the column(s) %s; the added ones are called %s",
                ", ".join(renamed),
                ", ".join(added[name] for name in renamed),
            )

    def lines(self, rows: Sequence[Row]) -> bytes:
        """The JSON lines of a chunk of rows."""
        asked = [self._input(row.values) for row in rows if row.values is not None]
        answers = iter(self.predictor.predict(asked))
        return b"".join(
            self._line(
                row, next(answers) if row.values is not None else Prediction(error=row.problem)
            )
            for row in rows
        )

    def _input(self, values: Mapping[str, Any]) -> Any:
        fields = tuple(values.get(name) for name in self.inputs.names)
        if len(fields) == 2:
            return fields
        if self.inputs.are_tokens and isinstance(fields[0], str):
            return fields[0].split()  # a csv file has no lists
        return fields[0]

    def _line(self, row: Row, prediction: Prediction) -> bytes:
        self.counts["errors"] += prediction.error is not None
        self.counts["truncated"] += prediction.truncated
        record = dict(row.values or {})
        for name, value in self._answer(row, prediction).items():
            name = self.columns.added[name]
            while name in record:  # a column that only this row has
                name = f"xlingual_{name}"
            record[name] = value
        return json_line(record)

    def _answer(self, row: Row, prediction: Prediction) -> dict[str, Any]:
        is_token = self.predictor.task.name == "token"
        answer: dict[str, Any] = {"prediction": prediction.label}
        if prediction.error is not None:
            answer |= {} if is_token else {"probability": None}
            answer["prediction_error"] = f"row {row.number}: {prediction.error}"
            return answer | ({"prediction_raw": row.raw} if row.values is None else {})
        if is_token:
            answer = {"prediction": [_rounded(asdict(span)) for span in prediction.spans]}
            answer |= {"prediction_tags": list(prediction.tags)} if prediction.tags else {}
        else:
            has_several = self.predictor.task.name == "multi_label"
            predicted = prediction.labels if has_several else prediction.label or ""
            answer = predicted_fields(predicted, prediction.probabilities)
            if not self.with_probabilities:
                del answer["probabilities"]
        return answer | ({"prediction_truncated": True} if prediction.truncated else {})


def _rounded(span: dict[str, Any]) -> dict[str, Any]:
    return {**span, "probability": round(span["probability"], _DIGITS)}
