"""Export a trained model to ONNX, in fp32 and int8: ``xlingual export MODEL OUT``.

Writes model.onnx and model_int8.onnx with the tokenizer, the labels and the calibration, so that
the folder can be served on its own, and export_report.json: the largest logit difference from
PyTorch in English and Chinese, and with ``--validation en=dev.jsonl,zh=test.jsonl`` the accuracy
lost on each set.
"""

from __future__ import annotations

import argparse
import sys

from xlingual.cli.reading_flags import add_reading_flags, columns_of

__all__ = ["add_flags", "main"]


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of ``xlingual export``."""
    add = parser.add_argument
    add("model", help="folder or hub id of a trained model or adapter")
    add("output", help="new or empty folder to write")
    add("--precision", default="fp32,int8", help="fp32, int8 or fp32,int8 (default)")
    add("--validation", help="labelled sets to measure on: [name=]path, comma-separated")
    add_reading_flags(
        parser, "text_column", "text_pair_column", "label_column", "columns", "encoding"
    )
    add("--max_length", type=int, help="tokens per row; default: as in training")
    add("--model_revision", help="branch, tag or commit of the model on the hub")
    add("--opset", type=int, help="ONNX operator set; default: the exporter's choice")


def main(options: argparse.Namespace) -> None:
    """Export a model and print its differences from PyTorch."""
    from xlingual.export import export_onnx

    report = export_onnx(
        options.model,
        options.output,
        precision=[name.strip() for name in options.precision.split(",") if name.strip()],
        validation=options.validation,
        columns=columns_of(options),
        max_length=options.max_length,
        revision=options.model_revision,
        opset=options.opset,
    )
    sys.stdout.write(f"{report.table()}\nsaved: {report.folder}\n")
