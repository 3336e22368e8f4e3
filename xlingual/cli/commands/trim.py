"""A smaller model for the same texts: ``xlingual trim MODEL OUT --languages en,zh``.

Drops the tokens that the languages are not written in, or (--corpus) that the texts are not cut
into; with both, what either needs is kept. Pieces and logits of text in kept tokens stay the same,
which is checked on the whole corpus. Merge adapters first.
"""

from __future__ import annotations

import argparse
import sys

__all__ = ["add_flags", "main"]


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of ``xlingual trim``."""
    add = parser.add_argument
    add("model", help="folder or hub id of a model with a fast tokenizer")
    add("output", help="folder to write; must be empty or not there")
    add("--languages", help="keep the tokens in the scripts of these languages: en,zh")
    add("--corpus", help="files whose texts must be cut as before, separated by commas")
    add("--text_column", help="column of the text; guessed from the usual names")
    add("--columns", help="names of the columns of files without a header: text,label")
    add("--encoding", help="encoding of files that are not UTF-8, such as big5; left out: guessed")
    add("--num_tokens", type=int, help="upper limit; what the corpus uses is never left out")
    add("--keep_tokens", nargs="*", default=[], help="more tokens, as the vocabulary spells them")


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
