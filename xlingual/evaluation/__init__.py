"""Scores, their intervals and the transfer gap. Nothing here needs torch or a network.

The functions are pure and import only numpy. The ``evaluate.Metric`` classes are loaded when first
asked for, because ``import evaluate`` takes seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xlingual.evaluation.calibration import (
    Calibration,
    apply_calibration,
    expected_calibration_error,
    fit_calibration_temperature,
)
from xlingual.evaluation.comparison import (
    MethodComparison,
    SeedScores,
    cheapest_of_the_best,
    compare_methods,
    holm_correction,
    mean_of_sets,
    resample_methods,
)
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
from xlingual.evaluation.selection import (
    AccuracyEstimate,
    accuracy_under_prior,
    average_thresholded_confidence,
    bitext_agreement,
    difference_of_confidences,
    estimate_accuracy,
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
    "AccuracyEstimate",
    "BootstrapScore",
    "Calibration",
    "ConfusionMatrix",
    "Interval",
    "LabelPredictions",
    "MacroF1",
    "MethodComparison",
    "MultiLabelF1",
    "PerClassF1",
    "SeedScores",
    "SetScores",
    "TransferGap",
    "TransferReport",
    "TransferSummary",
    "accuracy_under_prior",
    "apply_calibration",
    "average_thresholded_confidence",
    "bitext_agreement",
    "bootstrap_classification",
    "bootstrap_multi_label",
    "cheapest_of_the_best",
    "classification_scores",
    "compare_methods",
    "confusion_matrix",
    "difference_of_confidences",
    "estimate_accuracy",
    "expected_calibration_error",
    "fit_calibration_temperature",
    "flatten_intervals",
    "gap_recovered",
    "holm_correction",
    "label_set_majority_baseline",
    "majority_baseline",
    "mean_of_sets",
    "multi_label_scores",
    "resample_classification",
    "resample_methods",
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
