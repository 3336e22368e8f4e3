"""``export_onnx``: write a folder with graphs and all that serving them needs, or nothing."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from xlingual.data import Columns
from xlingual.errors import ConfigError, require
from xlingual.export.export_report import ExportReport
from xlingual.export.graphs import base_model_of, write_graphs
from xlingual.export.parity import compare, read_sets
from xlingual.inference.classifier_loading import Classifier, load_classifier
from xlingual.inference.onnx_session import PRECISIONS
from xlingual.writing import check_empty, new_folder, write_json

__all__ = ["export_onnx"]


def export_onnx(
    folder: str | Path,
    output_dir: str | Path,
    *,
    precision: Sequence[str] = ("fp32", "int8"),
    validation: str | None = None,
    columns: Columns | None = None,
    max_length: int | None = None,
    revision: str | None = None,
    opset: int | None = None,
) -> ExportReport:
    """Export a classifier to ONNX, and compare it with PyTorch language by language.

    An adapter is merged into its base in memory. Batch and length are dynamic. int8 is dynamic
    quantisation: weights are stored as int8 with one scale per column (embedding tables: per row)
    and activations are quantised at run time, so no calibration set is needed. Weights use seven
    bits: on CPUs without VNNI, eight overflow the 16 bits in which products are added.

    Args:
        folder: A trained model or adapter, or its hub id.
        output_dir: A new or empty folder; it appears once it is complete.
        precision: ``"fp32"``, ``"int8"`` or both.
        validation: Labelled sets, ``"en=dev.jsonl,zh=test.jsonl"``, on which to measure the
            accuracy lost.
        columns: Column names of these sets; guessed where not given.
        max_length: Tokens per row that the folder is to be used with; ``None``: as in training.
        revision: Branch, tag or commit on the hub.
        opset: ONNX operator set; ``None``: the exporter's own choice.

    Raises:
        ModelLoadError: There is no such model.
        ExportError: It cannot be converted, or the fp32 graph's logits differ from PyTorch's by
            1e-4 or more.
        OutputError: The output is not empty, or cannot be written.
        ConfigError: An unknown precision.
        DataError: A validation set cannot be read.
        MissingDependencyError: onnx, onnxruntime or onnxscript is not installed.
    """
    unknown = [name for name in precision if name not in PRECISIONS]
    if unknown or not precision:
        raise ConfigError(f"precision is one or more of fp32, int8; got {list(precision)}")
    for package in ("onnx", "onnxruntime", "onnxscript"):
        require(package, extra="export")
    output = Path(output_dir).expanduser()
    check_empty(output)
    source = load_classifier(
        folder, revision=revision, device="cpu", precision="fp32", max_length=max_length
    )
    sets = read_sets(validation, source, columns) if validation else {}
    with new_folder(output) as new:
        write_graphs(source, new, precision=precision, opset=opset)
        _write_companions(source, new)
        report = compare(source, new, precision=precision, sets=sets, output=output)
        write_json(new / "export_report.json", report.to_results())
    return report


def _write_companions(source: Classifier, folder: Path) -> None:
    """Write the files that ``Predictor`` reads besides the graph."""
    model = base_model_of(source)
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    source.tokenizer.save_pretrained(folder)
    write_json(folder / "label_names.json", list(source.label_names))
    calibration = source.folder / "calibration.json"
    if calibration.is_file():
        shutil.copyfile(calibration, folder / calibration.name)
    run: dict[str, Any] = {"max_length": source.max_length}
    if source.takes_pairs is not None or source.task.name != "sequence":
        run["task"] = "pair" if source.takes_pairs else source.task.name
    (folder / "run_config.yaml").write_text(yaml.safe_dump(run), encoding="utf-8")
