"""The table of a comparison, for people and for programs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xlingual.evaluation.comparison import MethodComparison
from xlingual.evaluation.text_tables import render_table, wrap_text
from xlingual.writing import write_json

__all__ = ["Comparison", "write_comparison"]

_COSTS = ("estimated", "seconds", "peak MiB", "trained")


@dataclass(frozen=True)
class Comparison:
    """The table of a comparison.

    Attributes:
        metric: The score that is compared.
        methods: Every requested method, in the order of the table.
        sets: For each target set, and ``"mean"`` if there are several, the methods that have a
            result.
        costs: Means over the seeds of each method: seconds, peak_memory_mib, trainable_parameters.
        estimates: Target accuracy estimated without target labels, by method.
        errors: The error of each failed run.
        best_measured: The cheapest of the best methods by the target's test labels.
        best_by_evidence: The first method in the order of published evidence.
    """

    metric: str
    methods: Sequence[str]
    sets: Mapping[str, Mapping[str, MethodComparison]]
    costs: Mapping[str, Mapping[str, float]]
    estimates: Mapping[str, float]
    errors: Mapping[str, str] = field(default_factory=dict)
    best_measured: str | None = None
    best_by_evidence: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The content of ``results.json``; undefined values are None."""
        sets = {
            name: {method: found.to_dict() for method, found in one.items()}
            for name, one in self.sets.items()
        }
        return {
            "metric": self.metric, "methods": list(self.methods), "sets": sets,
            "costs": dict(self.costs), "estimated_accuracy": dict(self.estimates),
            "failed": dict(self.errors), "recommended_by_target_test_labels": self.best_measured,
            "recommended_without_target_test_labels": self.best_by_evidence,
        }  # fmt: skip

    def table(self) -> str:
        """Text for a terminal: the scores of each set, the costs, failures, recommendations."""
        blocks = [
            render_table(
                [name, *self._score_names()],
                [[method, *_score_cells(one.get(method))] for method in self.methods],
            )
            for name, one in self.sets.items()
        ]
        costs = [[method, *self._cost_cells(method)] for method in self.methods]
        blocks.append(render_table(["", *_COSTS], costs, right=range(1, len(_COSTS) + 1)))
        return "\n\n".join([*blocks, "\n".join(map(wrap_text, self._notes()))]) + "\n"

    def markdown(self) -> str:
        """One table with a row for each set and method, and the notes below it."""
        header = ["target", "method", *self._score_names(), *_COSTS]
        rows = [header, ["---"] * len(header)]
        for name, one in (self.sets or {"-": {}}).items():
            rows += [
                [name, method, *_score_cells(one.get(method)), *self._cost_cells(method)]
                for method in self.methods
            ]
        lines = [f"| {' | '.join(row)} |" for row in rows]
        return "\n".join([*lines, "", *self._notes()]) + "\n"

    def _score_names(self) -> list[str]:
        return [f"{self.metric} [95%]", "sd", "gap recovered", "p"]

    def _cost_cells(self, method: str) -> list[str]:
        costs = self.costs.get(method, {})
        return [
            _percent(self.estimates.get(method)),
            *(
                f"{costs[key]:,.0f}" if key in costs else "-"
                for key in ("seconds", "peak_memory_mib", "trainable_parameters")
            ),
        ]

    def _notes(self) -> list[str]:
        notes = [f"FAILED {name}: {error}" for name, error in self.errors.items()]
        if self.sets:
            notes += [
                "scores and p-values READ THE TARGET'S TEST LABELS: a method chosen by them is an "
                "oracle's choice, and its score here is a little too high",
                "[95%]: over rows, of the mean over seeds; sd: over seeds; p: against zero_shot, "
                "paired by row, Holm-corrected over the methods of a set",
            ]
        if self.estimates:
            notes.append(
                "estimated: accuracy estimated without target labels, as by zero_shot "
                "--target_unlabeled; too high for methods trained on the target's own text"
            )
        if self.best_measured:
            notes.append(
                f"recommended by the target's test labels: {self.best_measured} (the cheapest "
                "method that is not significantly worse than the best)"
            )
        if self.best_by_evidence:
            notes.append(
                f"recommended without target test labels: {self.best_by_evidence} (the first in "
                "the order of published evidence)"
            )
        return notes


def write_comparison(output_dir: str | Path, comparison: Comparison) -> None:
    """Write ``results.json`` and ``table.md``, in UTF-8."""
    write_json(Path(output_dir, "results.json"), comparison.to_dict())
    Path(output_dir, "table.md").write_text(comparison.markdown(), encoding="utf-8")


def _score_cells(found: MethodComparison | None) -> list[str]:
    if found is None:
        return ["-"] * 4
    score, low, high = (100 * value for value in found.score)
    return [
        f"{score:.1f} [{low:.1f}, {high:.1f}]",
        "-" if math.isnan(found.seed_deviation) else f"{100 * found.seed_deviation:.1f}",
        _percent(found.gap_recovered, digits=0),
        "-" if found.p_value is None else f"{found.p_value:.3f}",
    ]


def _percent(value: float | None, *, digits: int = 1) -> str:
    return "-" if value is None or math.isnan(value) else f"{100 * value:.{digits}f}%"
