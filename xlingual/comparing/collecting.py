"""Read the folders of finished runs, compare the methods and recommend one."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from xlingual.comparing.comparison_table import Comparison
from xlingual.comparing.estimating import estimate_run, predict_unlabeled, tested_rows
from xlingual.comparing.methods import BASELINE, BY_EVIDENCE, CEILING, METHODS
from xlingual.comparing.running import FinishedRun
from xlingual.errors import DataError
from xlingual.evaluation.comparison import (
    SeedScores,
    cheapest_of_the_best,
    compare_methods,
    mean_of_sets,
    resample_methods,
)
from xlingual.evaluation.prediction_rows import (
    PredictionRows,
    predictions_path,
    read_predictions,
)
from xlingual.tasks import Task, get_task

__all__ = ["compare_runs"]

MEAN = "mean"


def compare_runs(
    finished: Sequence[FinishedRun],
    *,
    task: str,
    source_language: str,
    target_language: str,
    by_evidence: Sequence[str] = BY_EVIDENCE,
    baseline: str = BASELINE,
    ceiling: str = CEILING,
    unlabeled: Mapping[str, Dataset] | None = None,
) -> Comparison:
    """Read the results of the runs, and compare the methods.

    Args:
        finished: The runs, from :func:`run_all`.
        task: Decides the score and how labels are read.
        source_language: Language of the sets on which confidences are calibrated.
        target_language: Language of the sets that are compared.
        by_evidence: Methods, those with the strongest published evidence first: the first that ran
            is recommended without target labels. Accuracy estimates are not used for that, because
            they favour models trained on the target's own text.
        baseline: The method that the others are compared with.
        ceiling: The method trained on the target's labels, which is not a candidate where target
            labels may not be read.
        unlabeled: Target rows by set, for the estimates if there is no test set.

    Raises:
        DataError: No run has a result, or runs were evaluated on different rows or labels.
    """
    errors = {run.run.name: run.error for run in finished if run.error is not None}
    good = [run for run in finished if run.error is None]
    if not good:
        said = "; ".join(f"{name}: {error}" for name, error in errors.items())
        raise DataError(f"expected at least one run with a result; all failed: {said}")
    methods = list(dict.fromkeys(run.run.method for run in finished))
    results = {run.run.name: _json(run.folder / "all_results.json") for run in good}
    labels, the_task = _shared_labels(results), get_task(task)
    metric = the_task.primary_metric
    scores = _scores(good, _set_names(results, target_language), labels, metric)
    costs = {method: _costs(method, good, results) for method in methods}
    estimates: dict[str, float] = {}
    if task in ("sequence", "pair"):
        able = [run for run in good if run.run.method != ceiling]
        languages = (source_language, target_language)
        estimates = _estimates(able, results, languages, labels, the_task, unlabeled or {})
    overall = scores.get(MEAN) or next(iter(scores.values()), None)
    succeeded = {run.run.method for run in good}
    return Comparison(
        metric=metric,
        methods=methods,
        sets={
            name: compare_methods(one, baseline=baseline, ceiling=ceiling)
            for name, one in scores.items()
        },
        costs=costs,
        estimates=estimates,
        errors=errors,
        best_measured=cheapest_of_the_best(
            overall, {method: costs[method].get("seconds", math.inf) for method in overall}
        )
        if overall
        else None,
        best_by_evidence=next((method for method in by_evidence if method in succeeded), None),
    )


def _shared_labels(results: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    names = {tuple(one["label_names"]) for one in results.values()}
    if len(names) > 1:
        raise DataError(f"the runs have different labels, which cannot be compared: {names}")
    return names.pop()


def _scores(
    runs: Sequence[FinishedRun], sets: Sequence[str], labels: Sequence[str], metric: str
) -> dict[str, dict[str, SeedScores]]:
    """Every method's score on every target set, then the mean over the sets."""
    scores = {}
    for number, name in enumerate(sets):
        predictions: dict[str, list[NDArray[np.int64]]] = {}
        references = None
        for run in runs:
            rows = _read_set(run.folder, name, labels).output
            if references is not None and not np.array_equal(rows.references, references):
                raise DataError(
                    f"{run.run.name} was evaluated on other rows of {name} than the runs before; "
                    "compare runs on the same test set"
                )
            references = rows.references
            predictions.setdefault(run.run.method, []).append(rows.predictions)
        if references is not None:
            scores[name] = resample_methods(
                references, predictions, label_names=labels, metric=metric, seed=number
            )
    return {**scores, MEAN: mean_of_sets(list(scores.values()))} if len(scores) > 1 else scores


def _costs(
    method: str, runs: Sequence[FinishedRun], results: Mapping[str, Mapping[str, Any]]
) -> dict[str, float]:
    """The mean over the seeds of each cost that all of them recorded."""
    own = [run for run in runs if run.run.method == method]
    figures: dict[str, list[Any]] = {"seconds": [run.seconds for run in own]}
    for key in ("peak_memory_mib", "trainable_parameters"):
        figures[key] = [results[run.run.name].get(key) for run in own]
    return {
        key: float(np.mean(values))
        for key, values in figures.items()
        if values and None not in values
    }


def _estimates(
    runs: Sequence[FinishedRun],
    results: Mapping[str, Mapping[str, Any]],
    languages: tuple[str, str],
    labels: Sequence[str],
    task: Task,
    unlabeled: Mapping[str, Dataset],
) -> dict[str, float]:
    """The estimated target accuracy of each method, averaged over its seeds."""
    found: dict[str, list[float]] = {}
    for run in runs:
        own = {run.run.name: results[run.run.name]}
        temperature = own[run.run.name].get("calibration_temperature")
        if temperature is None:
            continue
        source, tested = (
            [_read_set(run.folder, name, labels) for name in _set_names(own, language)]
            for language in languages
        )
        target = tested_rows(tested, task=task) or predict_unlabeled(
            run.folder, unlabeled, task=task, label_names=labels
        )
        method = METHODS.get(run.run.method)
        estimate = estimate_run(
            source,
            target,
            calibration_temperature=temperature,
            learnt_ngrams=method is not None and method.learns_ngrams,
        )
        if estimate is not None:
            found.setdefault(run.run.method, []).append(estimate)
    return {method: float(np.mean(values)) for method, values in found.items()}


def _read_set(folder: Path, name: str, labels: Sequence[str]) -> PredictionRows:
    return read_predictions(predictions_path(folder, name), label_names=labels)


def _set_names(results: Mapping[str, Mapping[str, Any]], language: str) -> list[str]:
    """The sets of a language that all runs evaluated: ``zh``, or ``zh_hotel`` and others."""
    each = [
        [
            name
            for key in one
            if key.startswith(f"eval_{language}") and key.endswith("_majority_accuracy")
            if (name := key.removeprefix("eval_").removesuffix("_majority_accuracy")) == language
            or name.startswith(f"{language}_")
        ]
        for one in results.values()
    ]
    return [name for name in each[0] if all(name in names for names in each)]


def _json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
