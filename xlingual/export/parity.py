"""Compare an exported graph with PyTorch, language by language: logits, labels, accuracy lost."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from xlingual.data import Columns, load_source, parse_sources
from xlingual.errors import ExportError
from xlingual.export.export_report import ExportReport
from xlingual.inference import Prediction, Predictor
from xlingual.inference.batches import Session, run_batches
from xlingual.inference.classifier_loading import Classifier
from xlingual.inference.onnx_session import PRECISIONS, load_onnx_model
from xlingual.inference.text_encoding import encode_texts
from xlingual.labels import LabelSpace
from xlingual.tasks import Task, get_task

__all__ = ["compare", "read_sets"]

logger = logging.getLogger(__name__)

_LARGEST_DIFFERENCE = 1e-4
_LARGEST_LOSS = 0.5  # points of accuracy
_PROBE_ROWS = 64
_PROBE = {
    "en": (
        "Good.",
        "The room was clean and the staff were kind, but breakfast was cold.",
        "I would not stay there again: the street is loud until three in the morning, the lift was "
        "out of order on both days, and nobody at the desk could say when it would be mended. The "
        "only thing that saved our weekend was the view over the harbour.",
        "Battery lasts 2 days, screen is OK, camera is poor at night (ISO 3200).",
    ),
    "zh": (
        "好。",
        "房间很干净，服务员也很热情，就是早餐有点凉。",
        "我不会再住这里了：街上一直吵到凌晨三点，两天电梯都是坏的，前台没有人说得清什么时候能修好。"
        "唯一让这个周末没有白过的，是窗外海港的夜景，拍照特别好看，朋友们都问我是在哪里拍的。",
        "電池可以用兩天，螢幕OK，晚上拍照很差（ISO 3200），check in也慢。",
    ),
}


def compare(
    source: Classifier,
    folder: Path,
    *,
    precision: Sequence[str],
    sets: Mapping[str, tuple[list[Any], list[Any]]],
    output: Path,
) -> ExportReport:
    """Run PyTorch and every graph on the same rows, and refuse an fp32 graph that differs."""
    report = ExportReport(output)
    rows = {name: _as_inputs(source, list(texts)) for name, texts in _PROBE.items()}
    rows |= {name: inputs for name, (inputs, _) in sets.items()}
    expected = {name: _probe_logits(source, source.session, some) for name, some in rows.items()}
    answers = {name: _answers(source, source.session, some) for name, some in rows.items()}
    for name, (_, references) in sets.items():
        report.num_rows[name] = len(references)
        report.accuracy[name] = {"torch": _share_equal(answers[name], references)}
    for kind in (kind for kind in PRECISIONS if kind in precision):
        session = load_onnx_model(folder, precision=kind)
        files = folder.glob(f"{PRECISIONS[kind]}*")
        report.num_bytes[kind] = sum(path.stat().st_size for path in files)
        report.max_logit_difference[kind], report.label_agreement[kind] = {}, {}
        for name, some in rows.items():
            logits = _probe_logits(source, session, some)
            difference = _largest_difference(logits, expected[name])
            if kind == "fp32" and not difference < _LARGEST_DIFFERENCE:
                raise ExportError(
                    f"the ONNX graph of {source.folder} does not compute what PyTorch does: on "
                    f"{name!r} a logit differs by {difference:.1e}, expected less than "
                    f"{_LARGEST_DIFFERENCE:.0e}; nothing was written. Try another opset"
                )
            found = _answers(source, session, some)
            report.max_logit_difference[kind][name] = difference
            report.label_agreement[kind][name] = _share_equal(found, answers[name])
            if name in sets:
                report.accuracy[name][kind] = _share_equal(found, sets[name][1])
                _warn_of_loss(report, name, kind)
    return report


def _warn_of_loss(report: ExportReport, name: str, precision: str) -> None:
    lost = report.accuracy_lost(name, precision)
    if lost > _LARGEST_LOSS:
        logger.warning(
            "%s loses %.2f points of accuracy on %s (%d rows), more than %.1f: serve fp32, or "
            "measure on more rows",
            PRECISIONS[precision],
            lost,
            name,
            report.num_rows[name],
            _LARGEST_LOSS,
        )


def _as_inputs(source: Classifier, texts: list[str]) -> list[Any]:
    """Probe sentences as the model reads them; in pairs, each sentence comes with the next."""
    if not source.takes_pairs:
        return texts
    return list(zip(texts, [*texts[1:], texts[0]], strict=True))


def _probe_logits(source: Classifier, session: Session, rows: Sequence[Any]) -> list[np.ndarray]:
    """Logits of the first rows: one by one, a few at a time, and as one batch, without padding."""
    texts = [
        (" ".join(row),) if isinstance(row, list) else row if isinstance(row, tuple) else (row,)
        for row in rows[:_PROBE_ROWS]
    ]
    encoded, _ = encode_texts(source.tokenizer, texts, max_length=source.max_length)
    budgets = (1, 3 * source.max_length, len(texts) * source.max_length)
    return [
        logits
        for budget in budgets
        for logits in run_batches(session, encoded, tokenizer=source.tokenizer, budget=budget)
    ]


def _largest_difference(found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> float:
    # np.max keeps NaN where max() may drop it: a graph that gives NaN must not pass.
    return float(
        np.max([np.abs(a - b).max(initial=0) for a, b in zip(found, expected, strict=True)])
    )


def _answers(source: Classifier, session: Session, rows: Sequence[Any]) -> list[Any]:
    predictor = Predictor.of(replace(source, session=session))
    return [_answer(source.task, prediction) for prediction in predictor.predict(rows)]


def _answer(task: Task, prediction: Prediction) -> Any:
    if task.name == "multi_label":
        return frozenset(prediction.labels)
    if task.name == "token":
        return prediction.tags or tuple((s.start, s.end, s.label) for s in prediction.spans)
    return prediction.label


def _share_equal(found: Sequence[Any], expected: Sequence[Any]) -> float:
    """The share of equal answers: over rows, or over tokens if answers are sequences of tags."""
    pairs = list(zip(found, expected, strict=True))
    is_tagged = all(
        isinstance(b, tuple) and b and isinstance(b[0], str) and len(a) == len(b) for a, b in pairs
    )
    if is_tagged:
        pairs = [pair for a, b in pairs for pair in zip(a, b, strict=True)]
    return float(np.mean([a == b for a, b in pairs]))


def read_sets(
    spec: str, source: Classifier, columns: Columns | None
) -> dict[str, tuple[list[Any], list[Any]]]:
    """Inputs and references of every validation set, by name."""
    task = get_task("pair") if source.takes_pairs else source.task
    space = LabelSpace(source.label_names)
    sets = {}
    for where in parse_sources(spec, default_name="validation"):
        data = load_source(where, task=task, columns=columns, label_space=space).dataset
        inputs = [data[column][:] for column in task.text_columns]
        rows = list(zip(*inputs, strict=True)) if len(inputs) > 1 else list(inputs[0])
        sets[where.name] = rows, [_reference(task, value) for value in data[task.label_column]]
    return sets


def _reference(task: Task, value: Any) -> Any:
    if task.name == "multi_label":
        return frozenset(value)
    return tuple(value) if task.name == "token" else value
