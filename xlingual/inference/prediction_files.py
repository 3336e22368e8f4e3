"""Predict a file larger than memory: rows stream through in order, with all their columns."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from xlingual.data.readers.columns import Columns
from xlingual.data.readers.tables import Row
from xlingual.errors import ConfigError, OutputError
from xlingual.inference.input_rows import input_columns, open_table
from xlingual.inference.output_formats import (
    STANDARD,
    Converter,
    output_converter,
    output_format,
)
from xlingual.inference.output_rows import AnsweredRows
from xlingual.inference.part_file import PartFile, fingerprint
from xlingual.inference.predictor import Predictor

__all__ = ["FileReport", "predict_file"]

_MOST_CHARACTERS = 1 << 24  # per chunk, so that rows as long as books do not fill the memory
_MODEL_FILES = ("config.json", "adapter_config.json", "tokenizer.json", "calibration.json")


class FileReport(NamedTuple):
    """The numbers of rows of a predicted file.

    Attributes:
        num_rows: Rows of the output, as many as the input has.
        num_resumed: Rows that an earlier run had already predicted.
        num_errors: Rows without a prediction; their ``prediction_error`` says why.
        num_truncated: Rows whose text was truncated.
    """

    num_rows: int
    num_resumed: int
    num_errors: int
    num_truncated: int


def predict_file(
    predictor: Predictor,
    source: str | Path,
    target: str | Path,
    *,
    columns: Columns | None = None,
    resume: bool = False,
    overwrite: bool = False,
    chunk_rows: int = 4_096,
    with_probabilities: bool = False,
    bom: bool = False,
    on_progress: Callable[[int], None] | None = None,
) -> FileReport:
    """Predict every row of a file, and write it as JSON Lines or a table.

    All columns are kept as they are, in their order, and ``prediction`` and ``probability`` are
    added (tagging: spans with their offsets; multi-label: a list of each). A row that cannot be
    read or has no text keeps its place, with ``null`` for both and a ``prediction_error``. If the
    input already has such a column, the added one is called ``xlingual_prediction``, and a warning
    is logged.

    In csv, tsv and xlsx the labels of a row are joined by ``|``, the probability of each label is
    a column (``probability_好评``), and other lists and objects are JSON; in parquet a column of
    mixed types is text. Text in xlsx never becomes a formula, and is cut at 32,767 characters.

    Memory does not grow with the file. The output grows in ``<target>.part`` and is renamed at the
    end; a killed run can continue where it stopped (see :class:`PartFile`).

    Args:
        predictor: The model.
        source: jsonl, csv, tsv or txt, optionally gzipped, parquet, xlsx, or ``"-"`` for standard
            input.
        target: A file whose name ends in .jsonl, .csv, .tsv, .parquet or .xlsx, or ``"-"`` for
            JSON Lines on standard output.
        columns: Names of columns and encoding of the input; guessed where not given.
        resume: Continue an unfinished output of the same input, model and settings.
        overwrite: Overwrite an existing output.
        chunk_rows: Rows that are read, sorted by length, predicted and written together.
        with_probabilities: Also write the probability of every label, as ``probabilities``.
        bom: Begin csv and tsv with a byte-order mark; without it Excel garbles Chinese.
        on_progress: Called after each chunk with its number of rows.

    Raises:
        DataError: The input cannot be read.
        ColumnError: It has no text column.
        OutputError: The output exists, has another origin, or cannot be written.
        ConfigError: Arguments that contradict each other, or an unknown output format.
        MissingDependencyError: An output in xlsx, without the extra ``excel``.
    """
    source, target, columns = str(source), str(target), columns or Columns()
    _check_arguments(source, target, resume=resume, chunk_rows=chunk_rows)
    kind = output_format(target, bom=bom)
    table = open_table(source, columns=columns)
    is_pair = bool(columns.text_pair_column) or bool(predictor.takes_pairs)
    inputs = input_columns(
        table, task=predictor.task, columns=columns, is_pair=is_pair, where=source
    )
    answered = AnsweredRows(
        predictor, inputs=inputs, columns=table.columns, with_probabilities=with_probabilities
    )
    origin = _origin(
        predictor,
        source,
        inputs.names,
        chunk_rows=chunk_rows,
        with_probabilities=with_probabilities,
    )
    convert = output_converter(kind, columns=answered.columns, bom=bom)
    with _open_output(
        target, origin=origin, resume=resume, overwrite=overwrite, convert=convert
    ) as output:
        num_resumed = output.num_rows
        answered.counts |= output.counts
        rows = islice(table.read(table.columns), num_resumed, None)
        if on_progress is not None and num_resumed:
            on_progress(num_resumed)
        for chunk in _chunks(rows, inputs.names, chunk_rows=chunk_rows):
            output.append(answered.lines(chunk), num_rows=len(chunk), counts=answered.counts)
            if on_progress is not None:
                on_progress(len(chunk))
        output.finish()
    return FileReport(
        num_rows=output.num_rows,
        num_resumed=num_resumed,
        num_errors=answered.counts["errors"],
        num_truncated=answered.counts["truncated"],
    )


def _check_arguments(source: str, target: str, *, resume: bool, chunk_rows: int) -> None:
    if chunk_rows < 1:
        raise ConfigError(f"chunk_rows must be at least 1; got {chunk_rows}")
    if resume and STANDARD in (source, target):
        raise ConfigError("a run from standard input or to standard output cannot be resumed")
    if source != STANDARD and Path(source).resolve() == Path(target).resolve():
        raise OutputError(f"{target} is the input itself; give the output another name")


def _chunks(rows: Iterator[Row], inputs: Sequence[str], *, chunk_rows: int) -> Iterator[list[Row]]:
    """Chunks of rows in order, limited by the number of rows and of characters."""
    chunk: list[Row] = []
    size = 0
    for row in rows:
        chunk.append(row)
        size += sum(len(str((row.values or {}).get(name, ""))) for name in inputs) + len(row.raw)
        if len(chunk) == chunk_rows or size >= _MOST_CHARACTERS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _origin(
    predictor: Predictor,
    source: str,
    columns: Sequence[str],
    *,
    chunk_rows: int,
    with_probabilities: bool,
) -> dict[str, Any]:
    """All that the rows of an output depend on; a resumed run must have the same."""
    return {
        "input": None if source == STANDARD else fingerprint(Path(source)),
        "model": _model_fingerprint(predictor.folder),
        "columns": list(columns),
        "settings": {
            "chunk_rows": chunk_rows,
            "with_probabilities": with_probabilities,
            "max_length": predictor.max_length,
            "token_budget": predictor.token_budget,
            "session": type(predictor.session).__name__,
            "dtype": str(getattr(predictor.session, "dtype", "")),
        },
    }


def _model_fingerprint(folder: Path | None) -> dict[str, Any]:
    if folder is None:
        return {}
    return {
        path.name: fingerprint(path)
        for path in sorted(folder.iterdir())
        if path.name in _MODEL_FILES or path.suffix in (".safetensors", ".onnx")
    }


class _StandardOutput:
    """Standard output with the methods of a :class:`PartFile`."""

    def __init__(self) -> None:
        self.num_rows = 0
        self.counts: dict[str, int] = {}

    def __enter__(self) -> _StandardOutput:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def append(self, lines: bytes, *, num_rows: int, counts: Mapping[str, int]) -> None:
        try:
            sys.stdout.buffer.write(lines)
            sys.stdout.buffer.flush()
        except OSError as error:
            raise OutputError(f"cannot write to standard output: {error.strerror}") from error
        self.num_rows += num_rows

    def finish(self) -> None:
        pass


def _open_output(
    target: str,
    *,
    origin: Mapping[str, Any],
    resume: bool,
    overwrite: bool,
    convert: Converter | None,
) -> PartFile | _StandardOutput:
    if target == STANDARD:
        return _StandardOutput()
    return PartFile(
        Path(target), origin=origin, resume=resume, overwrite=overwrite, convert=convert
    )
