"""What a run says of its model: the files beside it, and what unlabelled text adds."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import yaml
from datasets import Dataset

from xlingual.config.options import DataArguments, ModelArguments
from xlingual.config.training import TransferArguments
from xlingual.data import TransferData, mix_domains
from xlingual.evaluation import LabelPredictions, TransferReport
from xlingual.evaluation.prediction_rows import predictions_path, write_predictions
from xlingual.evaluation.target_accuracy import ESTIMATE_ROWS, sample_rows
from xlingual.models.features import output_layer
from xlingual.models.loading import load_tokenizer
from xlingual.models.output_layer import shift_output_bias
from xlingual.reporting.card import write_card
from xlingual.reporting.tokenizer_fit import TokenizerFit, tokenizer_fit
from xlingual.transfer import correct_label_shift
from xlingual.transfer.loop.learner import Learner
from xlingual.writing import write_json

logger = logging.getLogger(__name__)

# What follows from --precision and --selection (a run that repeats this one may change those), and
# permissions that were given once.
_OF_ONE_RUN = (
    "bf16", "fp16", "use_cpu", "load_best_model_at_end", "metric_for_best_model",
    "greater_is_better", "overwrite_output", "resume_from_checkpoint",
)  # fmt: skip

__all__ = ["estimate_target", "write_report"]


class _Trained(Learner, Protocol):
    """A ``TransferTrainer``, as far as it matters here."""

    model: Any


def estimate_target(
    trainer: _Trained,
    report: TransferReport,
    unlabeled: Mapping[str, Dataset],
    *,
    correct_shift: bool = False,
    max_rows: int = ESTIMATE_ROWS,
) -> TransferReport:
    """Add to a report what target text shows of the target before any of its labels is read.

    That is an estimate of the accuracy on each set, by its n-grams where they have a say. With
    ``correct_shift`` the shares of the classes are estimated first (``correct_label_shift``), and
    where its guard lets it the bias of the output layer is moved to them, in place: the model is
    then one for the target, and ``report`` keeps the source scores of the one before. A note in
    the report says what was done, or why nothing was.

    Args:
        trainer: The trained model; on several processes, called on all of them.
        report: Its scores on the source, ``evaluate_transfer(source=source, targets={})``.
        unlabeled: Target text by set; labels in it are not looked at.
        correct_shift: Whether the model may be changed.
        max_rows: Rows of a set that are read, at random; more would hardly narrow the estimate.

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
    """Whether the bias of the output layer was moved, and why."""
    sharded = ("is_fsdp_enabled", "is_deepspeed_enabled")
    for is_so, words in (
        (report.task.name == "multi_label", "it is for one label a row"),
        (not report.source, "there is no source validation to compare with"),
        (
            any(getattr(trainer, name, False) for name in sharded),
            "its weights are shared out over the processes (FSDP, DeepSpeed)",
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


def write_report(
    output_dir: str | Path,
    report: TransferReport,
    *,
    model_args: ModelArguments | None = None,
    data_args: DataArguments | None = None,
    method_args: Any = None,
    args: TransferArguments | None = None,
    rows: Mapping[str, Dataset] | None = None,
    data: TransferData | None = None,
) -> None:
    """Write results, config, predictions, the calibration and the model card of a run.

    ``all_results.json``, ``run_config.yaml``, ``predictions_<name>.jsonl``, ``calibration.json``
    and ``README.md``, all in UTF-8, without escapes. If a tokenizer was saved in the folder, its
    fit to the rows is counted, and a bad one is warned of.

    The arguments are what ``run_config.yaml`` holds. Secrets among them are left out, and what
    belongs to this one run or machine.

    Args:
        output_dir: The run's folder.
        report: The figures.
        model_args: The encoder it started from.
        data_args: The data; default: those of ``data``.
        method_args: The dataclass of the method's own settings.
        args: The settings of the training, as it has filled them in.
        rows: The evaluated sets by name; their texts go beside the predictions.
        data: What was loaded; the card then says where it is from and how many rows were read.
    """
    if data_args is None and data is not None:
        data_args = data.arguments
    folder = Path(output_dir)
    plain = _plain_config(model_args, data_args, method_args, args)
    fits = _fits(folder, report, plain, rows or {})
    results = report.results()
    for name, fit in fits.items():
        results.update(fit.to_results(f"fit_{name}_"))
        for problem in fit.problems:
            logger.warning("%s: %s", name, problem)
    write_json(folder / "all_results.json", results)
    (folder / "calibration.json").unlink(missing_ok=True)  # of a run that is overwritten
    if report.calibration is not None:
        write_json(folder / "calibration.json", report.calibration.to_dict())
    (folder / "run_config.yaml").write_text(
        yaml.safe_dump(plain, allow_unicode=True, sort_keys=True), encoding="utf-8"
    )
    for stale in folder.glob(
        predictions_path("", "*").name
    ):  # sets that an overwritten run had evaluated
        stale.unlink()
    for scores in report.sets:
        write_predictions(
            predictions_path(folder, scores.name),
            scores.output,
            columns=_texts((rows or {}).get(scores.name), report),
            label_names=report.label_space.names,
        )
    write_card(folder, report, config=plain, rows=rows, fits=fits, data=data)


def _plain_config(*parts: Any) -> dict[str, Any]:
    config: dict[str, Any] = {}
    for part in (part for part in parts if part is not None):
        values = part.to_dict() if hasattr(part, "to_dict") else asdict(part)
        config.update({key: value for key, value in values.items() if value is not None})
    return {
        key: value
        for key, value in config.items()
        if not key.endswith("_token")
        and key not in _OF_ONE_RUN
        and isinstance(value, (str, int, float, bool, list))
    }


def _fits(
    folder: Path, report: TransferReport, config: Mapping[str, Any], rows: Mapping[str, Dataset]
) -> dict[str, TokenizerFit]:
    """The fit of the saved tokenizer by set; empty where there is no tokenizer or no text."""
    if not rows or not (folder / "tokenizer_config.json").is_file():
        return {}
    tokenizer = load_tokenizer(str(folder))
    languages = {scores.name: config.get("source_language", "en") for scores in report.source}
    languages |= {scores.name: config.get("target_language", "zh") for scores in report.targets}
    fits = {}
    for name, language in ((n, languages[n]) for n in languages if n in rows):
        columns = [c for c in report.task.text_columns if c in rows[name].column_names]
        if columns and all(isinstance(rows[name][0][column], str) for column in columns):
            first, second = [*(list(rows[name][column]) for column in columns), None][:2]
            fits[name] = tokenizer_fit(
                tokenizer,
                first or [],
                text_pairs=second,
                language=language,
                max_length=int(config.get("max_length", 128)),
            )
    return fits


def _texts(dataset: Dataset | None, report: TransferReport) -> dict[str, Sequence[str]]:
    if dataset is None:
        return {}
    wanted = (*report.task.text_columns, "domain_name")
    return {column: list(dataset[column]) for column in wanted if column in dataset.column_names}
