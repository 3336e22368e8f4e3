"""From the folders of finished runs to one comparison, and to the method it speaks for."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xlingual.comparing.compared_methods import BASELINE, BY_EVIDENCE, CEILING
from xlingual.comparing.comparison_table import Comparison
from xlingual.comparing.running import FinishedRun
from xlingual.errors import DataError, XlingualError
from xlingual.evaluation import apply_calibration
from xlingual.evaluation.comparison import (
    SeedScores,
    cheapest_of_the_best,
    compare_methods,
    mean_of_sets,
    resample_methods,
)
from xlingual.evaluation.estimates import (
    average_thresholded_confidence,
    difference_of_confidences,
)
from xlingual.inference import Predictor
from xlingual.tasks import IGNORE_INDEX, get_task

__all__ = ["compare_runs"]

logger = logging.getLogger(__name__)

MEAN = "mean"


class _Rows(NamedTuple):
    """What a run wrote of one set."""

    references: NDArray[np.int64]
    predictions: NDArray[np.int64]
    probs: NDArray[np.float64]


def compare_runs(
    finished: Sequence[FinishedRun],
    *,
    task: str,
    source_language: str,
    target_language: str,
    by_evidence: Sequence[str] = BY_EVIDENCE,
    baseline: str = BASELINE,
    ceiling: str = CEILING,
    unlabeled: Sequence[Any] = (),
) -> Comparison:
    """Read what the runs wrote, and compare the methods.

    Args:
        finished: Of :func:`run_all`.
        task: Decides the score and how labels are read.
        source_language: Language of the sets on which confidences are calibrated.
        target_language: Language of the sets that are compared.
        by_evidence: Methods, the one with the strongest published evidence first: what is
            recommended without target labels. The estimates do not choose: they favour models
            trained on the target's own text.
        baseline: The method the others are compared with.
        ceiling: The method that has the target's training labels, and is no candidate where target
            labels may not be read.
        unlabeled: Target texts, or pairs of them, for the estimates where there is no test set.

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
    names = {tuple(one["label_names"]) for one in results.values()}
    if len(names) > 1:
        raise DataError(f"the runs have different labels, which cannot be compared: {names}")
    labels, metric = names.pop(), get_task(task).primary_metric
    scores = _scores(good, _set_names(results, target_language), labels, metric)
    costs = {method: _costs(method, good, results) for method in methods}
    estimates: dict[str, float] = {}
    if task in ("sequence", "pair"):
        able = [run for run in good if run.run.method != ceiling]
        languages = (source_language, target_language)
        estimates = _estimates(able, results, languages, labels, unlabeled)
    overall = scores.get(MEAN) or next(iter(scores.values()), None)
    ranked = [m for m in by_evidence if any(run.run.method == m for run in good)]
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
        best_by_evidence=next(iter(ranked), None),
    )


def _scores(
    runs: Sequence[FinishedRun], sets: Sequence[str], labels: Sequence[str], metric: str
) -> dict[str, dict[str, SeedScores]]:
    """Every method's score on every target set, then the mean over the sets."""
    scores = {}
    for number, name in enumerate(sets):
        predictions: dict[str, list[NDArray[np.int64]]] = {}
        references = None
        for run in runs:
            rows = _read_set(run.folder, name, labels)
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
    """Means over the seeds, of what every one of them recorded."""
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
    unlabeled: Sequence[Any],
) -> dict[str, float]:
    """Mean over the seeds of the accuracy that is expected on the target, by method."""
    found: dict[str, list[float]] = {}
    for run in runs:
        own = {run.run.name: results[run.run.name]}
        temperature = own[run.run.name].get("calibration_temperature")
        source = [_read_set(run.folder, name, labels) for name in _set_names(own, languages[0])]
        if not source or temperature is None:
            continue
        # The probabilities of the test rows, without their labels; or those of the target's text.
        targets = [_read_set(run.folder, n, labels).probs for n in _set_names(own, languages[1])]
        probs = [apply_calibration(one, temperature) for one in targets]
        if not probs and unlabeled:
            probs = _predicted(run.folder, unlabeled, labels)
        known = apply_calibration(np.concatenate([rows.probs for rows in source]), temperature)
        truth = np.concatenate([rows.references for rows in source])
        estimates = [
            estimate(known, truth, one)
            for one in probs
            for estimate in (average_thresholded_confidence, difference_of_confidences)
        ]
        if estimates:
            found.setdefault(run.run.method, []).append(float(np.mean(estimates)))
    return {method: float(np.mean(values)) for method, values in found.items()}


def _predicted(
    folder: Path, texts: Sequence[Any], labels: Sequence[str]
) -> list[NDArray[np.float64]]:
    """Calibrated probabilities by the saved model; none where there is no model in the folder."""
    try:
        predictor = Predictor.from_pretrained(folder)
    except XlingualError as error:
        logger.warning("no estimate for %s: %s", folder.name, error)
        return []
    answers = [answer.probabilities for answer in predictor.predict(texts)]
    rows = [[answer[label] for label in labels] for answer in answers if answer]
    return [np.array(rows)] if rows else []


def _read_set(folder: Path, name: str, labels: Sequence[str]) -> _Rows:
    ids = {label: number for number, label in enumerate(labels)}

    def as_ids(value: Any) -> Any:
        if isinstance(value, list):
            return [int(label in value) for label in labels]
        return IGNORE_INDEX if value is None else ids[value]

    path = folder / f"predictions_{name}.jsonl"
    lines = path.read_text(encoding="utf-8").split("\n")  # a text may hold other line separators
    rows = [json.loads(line) for line in lines if line]
    probs = np.array([[row["probs"][label] for label in labels] for row in rows])
    if _is_multi_label(rows):
        empty = [IGNORE_INDEX] * len(labels)
        truth = [empty if row["label"] is None else as_ids(row["label"]) for row in rows]
    else:
        truth = [as_ids(row["label"]) for row in rows]
        probs = probs / probs.sum(axis=1, keepdims=True)  # they were rounded to six places
    return _Rows(np.array(truth), np.array([as_ids(row["prediction"]) for row in rows]), probs)


def _is_multi_label(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the rows hold lists of labels."""
    return any(isinstance(row["prediction"], list) for row in rows)


def _set_names(results: Mapping[str, Mapping[str, Any]], language: str) -> list[str]:
    """The evaluated sets of a language in all runs: ``zh``, or ``zh_hotel`` and others."""
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
