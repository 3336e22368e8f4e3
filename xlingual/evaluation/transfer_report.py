"""The results of a run as one object: scores per set with intervals, their summary, a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from xlingual.evaluation.calibration import (
    MIN_ROWS,
    Calibration,
    apply_calibration,
    expected_calibration_error,
    fit_calibration_temperature,
)
from xlingual.evaluation.gap import TransferSummary, transfer_summary
from xlingual.evaluation.intervals import (
    BootstrapScore,
    Interval,
    flatten_intervals,
)
from xlingual.evaluation.set_scores import LabelPredictions, SetScores, score_set
from xlingual.evaluation.target_accuracy import estimate_target_accuracy
from xlingual.evaluation.text_tables import fits, render_table, wrap_text
from xlingual.labels import LabelSpace
from xlingual.tasks import Task

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["TransferReport"]

_MOST_CLASSES = 12  # the scores of more classes are in all_results.json only
_ROUGH = "a rough guide: such estimates were off by 5 to 10 points on the sets we tried"


@dataclass(frozen=True)
class TransferReport:
    """All evaluated sets of a run, the source first, and their summary.

    Attributes:
        task: Its primary metric is that of the gap.
        label_space: Names of the labels.
        source: The source sets; for the gap their rows are pooled.
        targets: The target sets.
        selection: How the weights were chosen; ``target_dev`` is shown as an oracle.
        costs: Seconds, parameters, memory: figures that are not scores.
        estimates: Estimated accuracy on unlabelled target sets, see :meth:`with_estimates`.
        notes: Sentences for the table: what was done to the model, what could not be estimated.
    """

    task: Task
    label_space: LabelSpace
    source: Sequence[SetScores]
    targets: Sequence[SetScores]
    selection: str
    costs: Mapping[str, float] = field(default_factory=dict)
    estimates: Mapping[str, Interval] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @cached_property
    def summary(self) -> TransferSummary | None:
        """Transfer gap, target mean, worst target; None if one side has no sets."""
        if not self.source or not self.targets:
            return None
        metric = self.task.primary_metric
        source = score_set(
            "source", self.pooled_source, task=self.task, label_space=self.label_space
        )
        return transfer_summary(
            source=source.scores[metric],
            targets={scores.name: scores.scores[metric] for scores in self.targets},
        )

    @property
    def pooled_source(self) -> LabelPredictions:
        """The rows of all source sets; there must be at least one set."""
        rows = zip(*(scores.output for scores in self.source), strict=True)
        return LabelPredictions(*(np.concatenate(part) for part in rows))

    @cached_property
    def calibration(self) -> Calibration | None:
        """The temperature of the pooled source sets; None if they have too few labelled rows.

        Target labels are never used, whatever the selection was.
        """
        num_rows = sum(scores.num_rows for scores in self.source)
        if num_rows < MIN_ROWS:
            return None
        pooled = self.pooled_source
        temperature = fit_calibration_temperature(
            pooled.probs, pooled.references, multi_label=self._multi_label
        )
        names = ", ".join(scores.name for scores in self.source)
        return Calibration(round(temperature, 4), names, num_rows)

    def calibration_errors(self, scores: SetScores) -> dict[str, float]:
        """``ece`` of a set, and ``calibrated_ece`` if a temperature could be fitted."""
        options: dict[str, Any] = {"multi_label": self._multi_label}
        references, _, probs = scores.output
        errors = {"ece": expected_calibration_error(probs, references, **options)}
        if self.calibration is not None:
            temperature = self.calibration.calibration_temperature
            probs = apply_calibration(probs, temperature, **options)
            errors["calibrated_ece"] = expected_calibration_error(probs, references, **options)
        return errors

    def with_estimates(
        self,
        unlabeled: Mapping[str, LabelPredictions],
        *,
        rows: Mapping[str, Dataset] = MappingProxyType({}),
    ) -> TransferReport:
        """Add an estimate of the accuracy on target sets without reading their labels.

        It comes from :func:`estimate_target_accuracy` with the temperature of the source sets, and
        needs a single-label task and 20 labelled source rows; otherwise a note gives the reason.

        Args:
            unlabeled: The model's predictions for each set; the references are ignored.
            rows: The rows of the sets, for the n-grams of their text.
        """
        calibration = None if self._multi_label else self.calibration
        if calibration is None:
            known = sum(scores.num_rows for scores in self.source)
            reason = f"it needs {MIN_ROWS} labelled rows of --source_validation; there are {known}"
            if self._multi_label:
                reason = "its confidences are for one label a row, and these rows may have several"
            note = f"no estimate of the target accuracy: {reason}"
            return replace(self, notes=[*self.notes, note])
        source = self.pooled_source
        estimates = {
            name: estimate_target_accuracy(
                source_probs=source.probs,
                source_references=source.references,
                target_probs=output.probs,
                target_rows=rows.get(name),
                calibration_temperature=calibration.calibration_temperature,
            ).accuracy
            for name, output in unlabeled.items()
        }
        return replace(self, estimates=estimates)

    @property
    def _multi_label(self) -> bool:
        return self.task.name == "multi_label"

    @property
    def sets(self) -> list[SetScores]:
        """Every evaluated set, the source first."""
        return [*self.source, *self.targets]

    def results(self) -> dict[str, Any]:
        """The flat keys of ``all_results.json``."""
        flat: dict[str, Any] = {}
        for scores in self.sets:
            intervals = {name: score.interval() for name, score in scores.scores.items()}
            flat.update(flatten_intervals(intervals, prefix=f"eval_{scores.name}_"))
            flat.update({f"eval_{scores.name}_{name}": v for name, v in scores.majority.items()})
            errors = self.calibration_errors(scores)
            flat.update({f"eval_{scores.name}_{name}": value for name, value in errors.items()})
            flat[f"eval_{scores.name}_rows"] = scores.num_rows
            if scores.confusion is not None:
                flat[f"eval_{scores.name}_confusion_matrix"] = scores.confusion.tolist()
        if self.summary is not None:
            flat.update(self.summary.to_results())
        estimates = {f"{name}_accuracy": value for name, value in self.estimates.items()}
        flat.update(flatten_intervals(estimates, prefix="estimated_"))
        if self.calibration is not None:
            flat["calibration_temperature"] = self.calibration.calibration_temperature
        flat["label_names"] = list(self.label_space.names)
        flat["selection"] = self.selection
        return {**flat, **self.costs}

    def table(self) -> str:
        """The results as text: one line per set, then the gap, then scores per class."""
        blocks = [self._set_table(), self._summary_lines()]
        if self.targets and len(self.label_space) <= _MOST_CLASSES:
            blocks += self._class_tables(self.targets[0])
        return "\n" + "\n\n".join(filter(None, [*blocks, self._cost_lines()]))

    def _set_table(self) -> str:
        rows = [
            [
                scores.name,
                f"{scores.num_rows}",
                f"{100 * scores.majority['majority_accuracy']:.1f}",
                *(_percent(scores.scores[name]) for name in ("accuracy", "macro_f1")),
            ]
            for scores in self.sets
        ]
        return render_table(["set", "rows", "majority", "accuracy", "macro-F1"], rows)

    def _summary_lines(self) -> str:
        lines = []
        if self.summary is not None:
            gap = self.summary.transfer_gap
            lines.append(
                f"transfer gap ({self.task.primary_metric}, source - target mean): "
                f"{100 * gap.value:+.1f} [{100 * gap.low:+.1f}, {100 * gap.high:+.1f}] points"
            )
            if len(self.targets) > 1:
                worst = self.summary.worst_target_score
                lines.append(f"worst target: {self.summary.worst_target} {_percent(worst)}")
        lines += [
            f"estimated {name} accuracy (no label read): {_percent(estimate)}, {_ROUGH}"
            for name, estimate in self.estimates.items()
        ]
        return "\n".join(wrap_text(line) for line in [*lines, *self.notes])

    def _class_tables(self, scores: SetScores) -> list[str]:
        """Scores per class and the confusion matrix, side by side if they fit."""
        names, title = self.label_space.names, f"{scores.name}, per class"
        header = [title, "precision", "recall", "F1"]
        rows = []
        for name in names:
            keys = (f"precision_{name}", f"recall_{name}", f"f1_{name}")
            rows.append([name, *(f"{100 * scores.scores[key].value:.1f}" for key in keys)])
        if scores.confusion is None:
            return [render_table(header, rows)]
        predicted_as = "predicted as: " + ", ".join(names)
        counts = [[f"{count}" for count in line] for line in scores.confusion]
        together = [
            [*row, "  ".join(f"{count:>5}" for count in line)]
            for row, line in zip(rows, counts, strict=True)
        ]
        wide = render_table([*header, predicted_as], together, width=None)
        if fits(wide):
            return [wide]
        confusion = [[name, *line] for name, line in zip(names, counts, strict=True)]
        right = range(1, len(names) + 1)
        return [
            render_table(header, rows),
            render_table([f"{scores.name}, predicted as", *names], confusion, right=right),
        ]

    def _cost_lines(self) -> str:
        oracle = " (an ORACLE: target labels chose the weights)" * (self.selection == "target_dev")
        costs = [
            f"{name}: {value:{',.0f' if value >= 1000 else '.1g' if 0 < value < 0.1 else '.1f'}}"
            for name, value in self.costs.items()
        ]
        return "\n".join(
            [
                f"weights kept: {self.selection}{oracle}",
                *costs,
                "[low, high]: 95% bootstrap interval over the rows, in percent",
            ]
        )


def _percent(score: BootstrapScore | Interval) -> str:
    interval = score.interval() if isinstance(score, BootstrapScore) else score
    return f"{100 * interval.value:.1f} [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"
