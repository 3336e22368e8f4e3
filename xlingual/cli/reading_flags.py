"""The flags by which commands are told how to read a file."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xlingual.data import Columns

__all__ = ["add_reading_flags", "columns_of"]

_HELP = {
    "text_column": "text column; default: guessed from the usual names",
    "text_pair_column": "column of the second text, for models of pairs",
    "tokens_column": "column with lists of tokens, for taggers",
    "label_column": "label column",
    "columns": "column names for files without a header, such as text,label",
    "encoding": "encoding of files that are not UTF-8, such as big5; default: guessed",
}


def add_reading_flags(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add those of the flags that a command needs.

    Args:
        parser: The parser of the command.
        names: The flags, which are also fields of ``Columns``.
    """
    for name in names:
        parser.add_argument(f"--{name}", help=_HELP[name])


def columns_of(options: argparse.Namespace) -> Columns:
    """The columns that the parsed flags name; a flag that the command lacks is left open."""
    from xlingual.data import Columns

    return Columns(**{name: getattr(options, name, None) for name in _HELP})
