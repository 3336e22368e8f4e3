"""Scores, their intervals and the transfer gap. Nothing here needs torch or a network.

The functions are pure and import only numpy. The ``evaluate.Metric`` classes are loaded when first
asked for, because ``import evaluate`` takes seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xlingual.evaluation.intervals import (
    BootstrapScore,
    Interval,
    bootstrap_classification,
    bootstrap_multi_label,
    flatten_intervals,
    resample_classification,
    resample_multi_label,
)
from xlingual.evaluation.report import (
    LabelPredictions,
    SetScores,
    TransferReport,
    score_set,
)
from xlingual.evaluation.scores import (
    classification_scores,
    confusion_matrix,
    label_set_majority_baseline,
    majority_baseline,
    multi_label_scores,
)
from xlingual.evaluation.transfer import TransferSummary, gap_recovered, transfer_summary

if TYPE_CHECKING:
    from xlingual.evaluation.metrics import (
        Accuracy,
        ConfusionMatrix,
        MacroF1,
        MultiLabelF1,
        PerClassF1,
        TransferGap,
    )

__all__ = [
    "Accuracy",
    "BootstrapScore",
    "ConfusionMatrix",
    "Interval",
    "LabelPredictions",
    "MacroF1",
    "MultiLabelF1",
    "PerClassF1",
    "SetScores",
    "TransferGap",
    "TransferReport",
    "TransferSummary",
    "bootstrap_classification",
    "bootstrap_multi_label",
    "classification_scores",
    "confusion_matrix",
    "flatten_intervals",
    "gap_recovered",
    "label_set_majority_baseline",
    "majority_baseline",
    "multi_label_scores",
    "resample_classification",
    "resample_multi_label",
    "score_set",
    "transfer_summary",
]


def __getattr__(name: str) -> Any:
    # Reached only for names that are not imported above: the metric classes, once each.
    if name in __all__:
        from xlingual.evaluation import metrics

        globals()[name] = getattr(metrics, name)
        return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
