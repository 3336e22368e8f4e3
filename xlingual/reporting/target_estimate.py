"""Unlabelled target text in a report: an accuracy estimate, and a correction of label shift."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from datasets import Dataset

from xlingual.data import mix_domains
from xlingual.evaluation import LabelPredictions, TransferReport
from xlingual.evaluation.target_accuracy import ESTIMATE_ROWS, sample_rows
from xlingual.models.features import output_layer
from xlingual.models.output_layer import shift_output_bias
from xlingual.transfer import correct_label_shift
from xlingual.transfer.loop.learner import Learner

__all__ = ["estimate_target"]


class _Trained(Learner, Protocol):
    """The part of a ``TransferTrainer`` that is needed here."""

    model: Any


def estimate_target(
    trainer: _Trained,
    report: TransferReport,
    unlabeled: Mapping[str, Dataset],
    *,
    correct_shift: bool = False,
    max_rows: int = ESTIMATE_ROWS,
) -> TransferReport:
    """Add an estimate of the target accuracy to a report, from target text without labels.

    The accuracy on each set is estimated, with its n-grams if they can be trusted. With
    ``correct_shift`` the class shares are estimated first (``correct_label_shift``), and if its
    guard allows it the bias of the output layer is adjusted to them, in place: the model is then
    for the target, and ``report`` keeps the source scores of the unchanged model. A note in the
    report says what was done, or why nothing was.

    Args:
        trainer: The trained model; on several processes, called on all of them.
        report: Its scores on the source, ``evaluate_transfer(source=source, targets={})``.
        unlabeled: Target text by set; labels in it are not read.
        correct_shift: Whether the model may be changed.
        max_rows: Rows per set that are read, at random; more would hardly narrow the estimate.

    Returns:
        The report with ``estimates`` and ``notes``.
    """
    rows = {name: sample_rows(part, max_rows=max_rows) for name, part in unlabeled.items()}
    outputs = {name: trainer.predict_labels(part) for name, part in rows.items()}
    if correct_shift:
        is_corrected, reason = _move_bias(trainer, report, rows, outputs)
        if is_corrected:
            outputs = {name: trainer.predict_labels(part) for name, part in rows.items()}
        scored = ", ".join(scores.name for scores in report.source)
        done = f"corrected in the saved model ({scored} is scored without)" * is_corrected
        report = replace(
            report,
            notes=[*report.notes, f"label shift: {done or 'the model is left as it is'}; {reason}"],
            costs={**report.costs, "label_shift_corrected": float(is_corrected)},
        )
    return report.with_estimates(outputs, rows=rows)


def _move_bias(
    trainer: _Trained,
    report: TransferReport,
    rows: Mapping[str, Dataset],
    outputs: Mapping[str, LabelPredictions],
) -> tuple[bool, str]:
    """Whether the bias of the output layer was changed, and why."""
    sharded = ("is_fsdp_enabled", "is_deepspeed_enabled")
    for is_so, words in (
        (report.task.name == "multi_label", "it needs one label per row"),
        (not report.source, "there is no source validation to compare with"),
        (
            any(getattr(trainer, name, False) for name in sharded),
            "its weights are sharded over the processes (FSDP, DeepSpeed)",
        ),
        (output_layer(trainer.model).bias is None, "its output layer has no bias"),
    ):
        if is_so:
            return False, words
    source = report.pooled_source
    shift = correct_label_shift(
        source_probs=source.probs,
        source_references=source.references,
        target_probs=np.concatenate([output.probs for output in outputs.values()]),
        target_rows=mix_domains({}, rows),
    )
    if shift.is_applied:
        shift_output_bias(trainer.model, shift.logit_shift)
    return shift.is_applied, shift.reason
