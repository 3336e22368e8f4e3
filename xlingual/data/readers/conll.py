"""Read token-per-line files: CoNLL, CoNLL-U, IOB, with blank lines between sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from xlingual.data.readers.tables import Row, Table
from xlingual.data.readers.text_files import TextFile, inspect_text_file
from xlingual.errors import DataError

__all__ = ["open_conll"]

_TAG = re.compile(r"O|[BIESLU]-.+")


def open_conll(path: str, *, encoding: str | None = None) -> Table:
    """Open a token-per-line file as the columns ``tokens`` and ``tags``.

    The token is the first column and the tag the last, except in CoNLL-U (form and UPOS) and in IOB
    files that number their tokens. A file with one column has no tags. ``-DOCSTART-`` lines and
    ``#`` comments are skipped. Columns are separated by tabs, or by any white space in lines
    without tabs.

    Raises:
        DataError: The file is empty, not text, or has no token.
    """
    file = inspect_text_file(path, encoding=encoding)
    layout = _find_layout(file)
    if layout is None:
        raise DataError(
            f"{path} has no tokens; expected 'token<TAB>tag' lines, sentences separated by blank "
            "lines"
        )
    token_column, tag_column = layout

    def read(_: Sequence[str]) -> Iterator[Row]:
        for number, lines in _sentences(file, is_numbered=token_column == 1):
            yield _as_row(number, lines, token_column, tag_column)

    return Table(("tokens",) if tag_column is None else ("tokens", "tags"), read)


def _find_layout(file: TextFile) -> tuple[int, int | None] | None:
    """The columns of token and tag, judged by the first sentence; None without a sentence."""
    for _, lines in _sentences(file, is_numbered=True):
        first = lines[0]
        is_numbered = first[0] in ("1", "1-2") and len(first) >= 3
        if is_numbered and len(first) == 10:
            return 1, 3
        if is_numbered and all(_TAG.fullmatch(fields[2]) for fields in lines if len(fields) > 2):
            return 1, 2
        return (0, -1) if max(map(len, lines)) > 1 else (0, None)
    return None


def _sentences(file: TextFile, *, is_numbered: bool) -> Iterator[tuple[int, list[list[str]]]]:
    """Line number and split lines of each sentence."""
    lines: list[list[str]] = []
    start = 0
    with file.open() as text:
        for number, line in enumerate(text, start=1):
            line = line.rstrip("\r\n").lstrip("\ufeff")
            if not line.strip():
                if lines:
                    yield start, lines
                lines = []
            elif line.startswith("-DOCSTART-") or _is_comment(line, is_numbered=is_numbered):
                continue
            else:
                start = start if lines else number
                lines.append(line.split("\t") if "\t" in line else line.split())
    if lines:
        yield start, lines


def _is_comment(line: str, *, is_numbered: bool) -> bool:
    """Whether a line is a comment; in files without token numbers, ``#`` can be a token."""
    words = line.split()
    if is_numbered or not line.startswith("#"):
        return line.startswith("#")
    return "\t" not in line and len(words) > 2 and not _TAG.fullmatch(words[-1])


def _as_row(number: int, lines: list[list[str]], token_column: int, tag_column: int | None) -> Row:
    if token_column == 1:  # ranges (1-2) and empty nodes (1.1) repeat what other lines hold
        lines = [fields for fields in lines if fields[0].isdigit()]
    width = 1 + max(token_column, tag_column if tag_column and tag_column > 0 else 1)
    if tag_column is None:
        return Row(number, {"tokens": [fields[token_column] for fields in lines]})
    for fields in lines:
        if len(fields) < width:
            raw = "\n".join("\t".join(fields) for fields in lines)
            return Row(number, None, f"the token {fields[0]!r} has no tag", raw)
    tokens = [fields[token_column] for fields in lines]
    return Row(number, {"tokens": tokens, "tags": [fields[tag_column] for fields in lines]})
