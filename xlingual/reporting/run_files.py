"""The files of a run: results, settings, predictions, calibration and model card."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from datasets import Dataset

from xlingual.config.options import DataArguments, ModelArguments
from xlingual.config.training import TransferArguments
from xlingual.data import TransferData
from xlingual.evaluation import TransferReport
from xlingual.evaluation.prediction_rows import predictions_path, write_predictions
from xlingual.models.loading import load_tokenizer
from xlingual.reporting.card import write_card
from xlingual.reporting.tokenizer_fit import TokenizerFit, tokenizer_fit
from xlingual.writing import write_json

logger = logging.getLogger(__name__)

# Settings that follow from --precision and --selection, which a run that repeats this one may
# change, and permissions that hold for one run only.
_OF_ONE_RUN = (
    "bf16", "fp16", "use_cpu", "load_best_model_at_end", "metric_for_best_model",
    "greater_is_better", "overwrite_output", "resume_from_checkpoint",
)  # fmt: skip

__all__ = ["write_report"]


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
    and ``README.md``, all in UTF-8, without escapes. If a tokenizer was saved in the folder, the
    tokenizer report on the rows is added, and its problems are logged.

    ``run_config.yaml`` holds the arguments, without secrets and without settings of this one run or
    machine.

    Args:
        output_dir: The run's folder.
        report: The results.
        model_args: The encoder it started from.
        data_args: The data; default: the arguments of ``data``.
        method_args: The dataclass of the method's own settings.
        args: The training settings, as the trainer has filled them in.
        rows: The evaluated sets by name; their texts go beside the predictions.
        data: The loaded data; the card then states its origin and number of rows.
    """
    if data_args is None and data is not None:
        data_args = data.arguments
    folder = Path(output_dir)
    plain = _plain_config(model_args, data_args, method_args, args)
    fits = _tokenizer_reports(folder, report, plain, rows or {})
    results = report.results()
    for name, fit in fits.items():
        results.update(fit.to_results(f"fit_{name}_"))
        for problem in fit.problems:
            logger.warning("%s: %s", name, problem)
    write_json(folder / "all_results.json", results)
    (folder / "calibration.json").unlink(missing_ok=True)  # of an overwritten run
    if report.calibration is not None:
        write_json(folder / "calibration.json", report.calibration.to_dict())
    (folder / "run_config.yaml").write_text(
        yaml.safe_dump(plain, allow_unicode=True, sort_keys=True), encoding="utf-8"
    )
    _write_predictions(folder, report, rows or {})
    write_card(folder, report, config=plain, rows=rows, fits=fits, data=data)


def _write_predictions(folder: Path, report: TransferReport, rows: Mapping[str, Dataset]) -> None:
    for stale in folder.glob(predictions_path("", "*").name):  # sets of an overwritten run
        stale.unlink()
    for scores in report.sets:
        write_predictions(
            predictions_path(folder, scores.name),
            scores.output,
            columns=_texts(rows.get(scores.name), report),
            label_names=report.label_space.names,
        )


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


def _tokenizer_reports(
    folder: Path, report: TransferReport, config: Mapping[str, Any], rows: Mapping[str, Dataset]
) -> dict[str, TokenizerFit]:
    """The report on the saved tokenizer for each set; empty without a tokenizer or text."""
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
