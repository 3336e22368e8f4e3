"""The measurements of an export, as flat keys and as a table."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xlingual.evaluation.text_tables import render_table
from xlingual.inference.onnx_session import PRECISIONS

__all__ = ["ExportReport"]


@dataclass(frozen=True)
class ExportReport:
    """The files of an export, and their differences from the original model.

    Args:
        folder: The exported folder.
        num_bytes: Size by precision, weights beside the graph included.
        max_logit_difference: Precision -> language or set -> largest absolute difference of a logit
            from PyTorch's, over the probe sentences or the first rows of a set.
        label_agreement: Precision -> language or set -> share of equal predictions.
        accuracy: Set -> ``"torch"`` or a precision -> accuracy; multi-label: all labels right;
            tagging: over tokens.
        num_rows: Set -> rows.
    """

    folder: Path
    num_bytes: dict[str, int] = field(default_factory=dict)
    max_logit_difference: dict[str, dict[str, float]] = field(default_factory=dict)
    label_agreement: dict[str, dict[str, float]] = field(default_factory=dict)
    accuracy: dict[str, dict[str, float]] = field(default_factory=dict)
    num_rows: dict[str, int] = field(default_factory=dict)

    def accuracy_lost(self, name: str, precision: str) -> float:
        """Accuracy of PyTorch minus that of the export on a set, in points."""
        scores = self.accuracy[name]
        return 100 * (scores["torch"] - scores[precision])

    def to_results(self) -> dict[str, Any]:
        """Flat keys, as in ``all_results.json``."""
        flat: dict[str, Any] = {}
        for precision, size in self.num_bytes.items():
            flat[f"onnx_{precision}_bytes"] = size
            for name, difference in self.max_logit_difference[precision].items():
                flat[f"onnx_{precision}_max_logit_difference_{name}"] = difference
            for name, share in self.label_agreement[precision].items():
                flat[f"onnx_{precision}_label_agreement_{name}"] = share
        for name, scores in self.accuracy.items():
            flat[f"eval_{name}_rows"] = self.num_rows[name]
            for precision, value in scores.items():
                key = "" if precision == "torch" else f"onnx_{precision}_"
                flat[f"eval_{name}_{key}accuracy"] = value
        return flat

    def table(self) -> str:
        """The figures as text, one line for each precision and language or set."""
        sizes = [
            f"{PRECISIONS[precision]}: {size / 1e6:,.1f} MB"
            for precision, size in self.num_bytes.items()
        ]
        header = [
            "", "", "logit difference", "same labels", "accuracy", "in PyTorch", "lost", "rows",
        ]  # fmt: skip
        rows = [
            [precision, name, *self._figures(precision, name)]
            for precision in self.num_bytes
            for name in self.max_logit_difference[precision]
        ]
        if not self.accuracy:
            header, rows = header[:4], [row[:4] for row in rows]
        notes = ["logit difference: the largest from PyTorch's"]
        notes += ["lost: points of accuracy"] * bool(self.accuracy)
        table = render_table(header, rows, right=range(2, len(header)))
        return "\n".join([*sizes, "", table, "", *notes])

    def _figures(self, precision: str, name: str) -> list[str]:
        figures = [
            f"{self.max_logit_difference[precision][name]:.1e}",
            f"{100 * self.label_agreement[precision][name]:.2f}%",
        ]
        if name not in self.accuracy:
            return [*figures, "", "", "", ""]
        scores = self.accuracy[name]
        return [
            *figures,
            f"{100 * scores[precision]:.2f}",
            f"{100 * scores['torch']:.2f}",
            f"{self.accuracy_lost(name, precision):+.2f}",
            f"{self.num_rows[name]:,}",
        ]
