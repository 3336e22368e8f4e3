"""``ModelArguments`` and ``DataArguments``, which all recipes share.

Imports no torch, so that ``--help`` is instant.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from xlingual.errors import ConfigError

__all__ = ["ADAPTERS", "DataArguments", "ModelArguments", "option"]

ADAPTERS = ("none", "lora", "dora", "ia3")


def option(default: Any, text: str) -> Any:
    """A dataclass field with its default and the text that ``--help`` shows."""
    return field(default=default, metadata={"help": text})


@dataclass
class ModelArguments:
    """The pretrained encoder to start from."""

    model_name_or_path: str | None = option(
        None,
        "Folder or hub id of a pretrained encoder, or pypi:multilingual-e5-small; default: the "
        "embedded bilingual encoder.",
    )
    model_revision: str | None = option(None, "Branch, tag or commit of the model on the hub.")
    license: str | None = option(
        None, "Licence for the model card if the base model's card names none."
    )


@dataclass
class DataArguments:
    """Data files, their columns and their labels.

    Each data argument takes a local file (csv, tsv, txt, json, jsonl, parquet, conll, optionally
    gzipped, or xlsx), a part of one (``file.json#train``, ``file.xlsx#Sheet2``), a folder written
    by ``datasets``, or ``hub_id[:config][@split]``. Several are comma-separated, each
    ``[name=]path[*weight]``. Without any, a recipe runs on the embedded corpus.
    """

    task: str = option("sequence", "sequence, pair or multi_label.")
    source_train: str | None = option(None, "Labelled source (English) training data.")
    source_validation: str | None = option(
        None, "Labelled source validation data; default: a held-out tenth of source_train."
    )
    target_train: str | None = option(
        None, "Labelled target (Chinese) training data, for few_shot and joint."
    )
    target_unlabeled: str | None = option(None, "Target text; a label column in it is never read.")
    target_validation: str | None = option(
        None, "Labelled target validation data; used only by an oracle selection (target_dev)."
    )
    target_test: str | None = option(
        None, "Labelled target test data; read only after training, for the scores."
    )
    text_column: str | None = option(None, "Column of the text.")
    text_pair_column: str | None = option(None, "Column of the second text of a pair.")
    label_column: str | None = option(None, "Column of the label(s).")
    tokens_column: str | None = option(None, "Column of tokens.")
    tags_column: str | None = option(None, "Column of tags.")
    domain_column: str | None = option(None, "Column of a domain name.")
    weight_column: str | None = option(None, "Column of row weights in the loss.")
    columns: str | None = option(
        None, "Column names for files without a header, such as text,label."
    )
    encoding: str | None = option(
        None,
        "Encoding of text files that are not UTF-8, such as big5; default: guessed.",
    )
    label_columns: str | None = option(
        None, "For --task multi_label: 0/1 columns, one per label, such as service,clean,price."
    )
    label_names: str | None = option(
        None, "For --task multi_label: label names, in order, for lists such as [0, 1, 1]."
    )
    label_bins: str | None = option(
        None,
        'Turns scores into classes, before --label_map: "negative<=2,positive>=4"; rows in between '
        "are left out.",
    )
    label_map: str | None = option(None, 'Renames labels on load: "1=positive,0=negative".')
    max_train_rows: int | None = option(
        None, "Train on at most this many rows of each set, for a quick trial."
    )

    def __post_init__(self) -> None:
        if self.max_train_rows is not None and self.max_train_rows < 1:
            raise ConfigError(f"--max_train_rows must be at least 1; got {self.max_train_rows}")
