"""Trim a model's vocabulary to your languages: ``xlingual trim MODEL OUT --languages en,zh``.

Keeps the tokens in the scripts of --languages, or the tokens that the texts of --corpus use; with
both flags, the tokens that either needs. Text made of kept tokens keeps its tokenization and its
logits, which is checked on the whole corpus. Merge adapters first.
"""

from __future__ import annotations

import argparse
import sys

from xlingual.cli.reading_flags import add_reading_flags

__all__ = ["add_flags", "main"]


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of ``xlingual trim``."""
    add = parser.add_argument
    add("model", help="folder or hub id of a model with a fast tokenizer")
    add("output", help="new or empty folder to write")
    add("--languages", help="keep the tokens in the scripts of these languages: en,zh")
    add("--corpus", help="files whose texts must be tokenised as before, comma-separated")
    add_reading_flags(parser, "text_column", "columns", "encoding")
    add("--num_tokens", type=int, help="maximum size; tokens that the corpus uses always stay")
    add("--keep_tokens", nargs="*", default=[], help="more tokens, spelled as in the vocabulary")


def main(options: argparse.Namespace) -> None:
    """Trim a model and print the sizes."""
    from xlingual.inference.model_folder import resolve_folder
    from xlingual.vocabulary import trim_vocabulary

    report = trim_vocabulary(
        resolve_folder(options.model),
        options.output,
        languages=options.languages,
        corpus=options.corpus,
        text_column=options.text_column,
        columns=options.columns,
        encoding=options.encoding,
        keep_tokens=options.keep_tokens,
        num_tokens=options.num_tokens,
    )
    sys.stdout.write(f"{report.table()}written to {report.output_dir}\n")
