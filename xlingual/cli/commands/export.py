"""A trained model as ONNX, in fp32 and int8: ``xlingual export MODEL OUT``.

Writes model.onnx and model_int8.onnx with the tokenizer, the labels and the calibration, so that
the folder serves by itself, and export_report.json: the largest logit difference from PyTorch in
English and Chinese, and with ``--validation en=dev.jsonl,zh=test.jsonl`` the accuracy lost on each.
"""

from __future__ import annotations

import argparse
import sys

__all__ = ["add_flags", "main"]


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of ``xlingual export``."""
    add = parser.add_argument
    add("model", help="folder or hub id of a trained model or adapter")
    add("output", help="new or empty folder to write")
    add("--precision", default="fp32,int8", help="fp32, int8 or fp32,int8 (default)")
    add("--validation", help="labelled sets to measure on: [name=]path, comma-separated")
    add("--max_length", type=int, help="tokens of a row; left out: as in training")
    add("--text_column", help="column of the text in the validation sets; guessed if left out")
    add("--text_pair_column", help="column of the second text, for models of pairs")
    add("--label_column", help="column of the label")
    add("--columns", help="names of the columns of files without a header: text,label")
    add("--encoding", help="encoding of files that are not UTF-8, such as big5; left out: guessed")
    add("--model_revision", help="branch, tag or commit of the model on the hub")
    add("--opset", type=int, help="ONNX operator set; left out: the exporter's choice")


def main(options: argparse.Namespace) -> None:
    """Export a model and say what it lost."""
    from xlingual.data import Columns
    from xlingual.export import export_onnx

    report = export_onnx(
        options.model,
        options.output,
        precision=[name.strip() for name in options.precision.split(",") if name.strip()],
        validation=options.validation,
        columns=Columns(
            text_column=options.text_column,
            text_pair_column=options.text_pair_column,
            label_column=options.label_column,
            columns=options.columns,
            encoding=options.encoding,
        ),
        max_length=options.max_length,
        revision=options.model_revision,
        opset=options.opset,
    )
    sys.stdout.write(f"{report.table()}\nsaved: {report.folder}\n")
