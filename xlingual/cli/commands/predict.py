"""A file with a model's prediction for every row: ``xlingual predict MODEL in.jsonl out.jsonl``.

Reads jsonl, csv, tsv and txt (optionally gzipped) and parquet, or JSON Lines from standard input
(``-``), of any size; writes all columns in the order of the input, as jsonl, csv, tsv, parquet or
xlsx (``xlingual[excel]``) by the end of the output's name. A run that was killed goes on with
``--resume``. A row without a text stays in its place with a null prediction and a
``prediction_error``.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

__all__ = ["add_flags", "main"]

logger = logging.getLogger(__name__)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of ``xlingual predict``."""
    add = parser.add_argument
    add("model", help="folder or hub id of a model that classifies or tags")
    add("input", help="file with the texts, or - for JSON Lines on standard input")
    add("output", help=".jsonl, .csv, .tsv, .parquet or .xlsx, or - for JSON Lines on stdout")
    add("--text_column", help="column of the text; guessed from the usual names")
    add("--text_pair_column", help="column of the second text, for models of pairs")
    add("--tokens_column", help="column with lists of tokens, for models that tag")
    add("--columns", help="names of the columns of a file without a header: text,label")
    add("--encoding", help="encoding of a file that is not UTF-8, such as big5; left out: guessed")
    add("--probabilities", action="store_true", help="also write the probability of every label")
    add("--bom", action="store_true", help="csv and tsv with a byte-order mark, as Excel needs it")
    add("--resume", action="store_true", help="go on with an unfinished output")
    add("--overwrite_output", action="store_true", help="write over an output that is there")
    add("--model_revision", help="branch, tag or commit of the model on the hub")
    add("--backend", default="torch", help="torch (default) or onnxruntime")
    add("--device", help="cpu, cuda, cuda:1, mps; left out: the GPU where there is one")
    add("--precision", default="auto", help="auto, fp32, bf16, fp16; onnxruntime: fp32, int8")
    add("--max_length", type=int, help="tokens of a row; left out: as in training")
    add("--token_budget", type=int, help="rows x longest row of a batch; 1024, on a GPU 65536")
    add("--chunk_rows", type=int, default=4_096, help="rows read and written together; 4096")


def main(options: argparse.Namespace) -> None:
    """Predict a file, with a bar on standard error."""
    from tqdm import tqdm

    from xlingual.data import Columns
    from xlingual.inference import Predictor, predict_file

    columns = Columns(
        text_column=options.text_column,
        text_pair_column=options.text_pair_column,
        tokens_column=options.tokens_column,
        columns=options.columns,
        encoding=options.encoding,
    )
    predictor = Predictor.from_pretrained(
        options.model,
        revision=options.model_revision,
        device=options.device,
        backend=options.backend,
        max_length=options.max_length,
        token_budget=options.token_budget,
        precision=options.precision,
    )
    # A log file should not fill with bars: there, one line in half a minute.
    interval = 0.5 if sys.stderr.isatty() else 30.0
    with tqdm(unit=" rows", mininterval=interval, file=sys.stderr, smoothing=0.1) as bar:
        try:
            report = predict_file(
                predictor,
                options.input,
                options.output,
                columns=columns,
                resume=options.resume,
                overwrite=options.overwrite_output,
                chunk_rows=options.chunk_rows,
                with_probabilities=options.probabilities,
                bom=options.bom,
                on_progress=bar.update,
            )
        except KeyboardInterrupt:
            bar.close()
            logger.error("interrupted; what is predicted is kept: go on with --resume")
            sys.exit(130)
    if report.num_resumed:
        logger.info("%s rows were there already", f"{report.num_resumed:,}")
    if report.num_truncated:
        logger.warning(
            "%s text(s) longer than %d tokens: their ends were not read",
            f"{report.num_truncated:,}",
            predictor.max_length,
        )
    if report.num_errors:
        logger.warning(
            "%s of %s rows have no prediction; their prediction_error says why",
            f"{report.num_errors:,}",
            f"{report.num_rows:,}",
        )
    where = "standard output" if options.output == "-" else Path(options.output)
    logger.info("%s rows written to %s", f"{report.num_rows:,}", where)
