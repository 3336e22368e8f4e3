"""Predict every row of a file: ``xlingual predict MODEL in.jsonl out.jsonl``.

Reads files of any size: jsonl, csv, tsv and txt (optionally gzipped), parquet and xlsx, or JSON
Lines from standard input (``-``). Rows and columns keep their order; the ending of the output's
name chooses jsonl, csv, tsv, parquet or xlsx (``xlingual[excel]``). ``--resume`` continues a killed
run. A row without text keeps its place, with a null prediction and a ``prediction_error``.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from xlingual.cli.reading_flags import add_reading_flags, columns_of

if TYPE_CHECKING:
    from xlingual.inference import FileReport

__all__ = ["add_flags", "main"]

logger = logging.getLogger(__name__)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of ``xlingual predict``."""
    add = parser.add_argument
    add("model", help="folder or hub id of a classifier or tagger")
    add("input", help="file with the texts, or - for JSON Lines on standard input")
    add("output", help=".jsonl, .csv, .tsv, .parquet or .xlsx, or - for JSON Lines on stdout")
    add_reading_flags(
        parser, "text_column", "text_pair_column", "tokens_column", "columns", "encoding"
    )
    add("--probabilities", action="store_true", help="also write the probability of every label")
    add("--bom", action="store_true", help="write csv and tsv with the byte-order mark Excel needs")
    add("--resume", action="store_true", help="continue an unfinished output")
    add("--overwrite_output", action="store_true", help="overwrite an existing output")
    add("--model_revision", help="branch, tag or commit of the model on the hub")
    add("--backend", default="torch", help="torch (default) or onnxruntime")
    add("--device", help="cpu, cuda, cuda:1, mps; default: the GPU if there is one")
    add("--precision", default="auto", help="auto, fp32, bf16, fp16; onnxruntime: fp32, int8")
    add("--max_length", type=int, help="tokens per row; default: as in training")
    add("--token_budget", type=int, help="rows x longest row per batch; default: 1024, GPU: 65536")
    add("--chunk_rows", type=int, default=4_096, help="rows read and written at a time (4096)")


def main(options: argparse.Namespace) -> None:
    """Predict a file, with a progress bar on standard error."""
    from tqdm import tqdm

    from xlingual.inference import Predictor, predict_file

    predictor = Predictor.from_pretrained(
        options.model,
        revision=options.model_revision,
        device=options.device,
        backend=options.backend,
        max_length=options.max_length,
        token_budget=options.token_budget,
        precision=options.precision,
    )
    # In a log file each update is a line: two per minute are enough.
    interval = 0.5 if sys.stderr.isatty() else 30.0
    with tqdm(unit=" rows", mininterval=interval, file=sys.stderr, smoothing=0.1) as bar:
        try:
            report = predict_file(
                predictor,
                options.input,
                options.output,
                columns=columns_of(options),
                resume=options.resume,
                overwrite=options.overwrite_output,
                chunk_rows=options.chunk_rows,
                with_probabilities=options.probabilities,
                bom=options.bom,
                on_progress=bar.update,
            )
        except KeyboardInterrupt:
            bar.close()
            logger.error("interrupted; predicted rows are kept: continue with --resume")
            sys.exit(130)
    _log_report(report, output=options.output, max_length=predictor.max_length)


def _log_report(report: FileReport, *, output: str, max_length: int) -> None:
    if report.num_resumed:
        logger.info("%s rows had been predicted before", f"{report.num_resumed:,}")
    if report.num_truncated:
        logger.warning(
            "truncated %s text(s) longer than %d tokens", f"{report.num_truncated:,}", max_length
        )
    if report.num_errors:
        logger.warning(
            "%s of %s rows have no prediction; their prediction_error says why",
            f"{report.num_errors:,}",
            f"{report.num_rows:,}",
        )
    where = "standard output" if output == "-" else Path(output)
    logger.info("%s rows written to %s", f"{report.num_rows:,}", where)
