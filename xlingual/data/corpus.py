"""The corpus that ships with the package: English product reviews, Chinese hotel reviews."""

from __future__ import annotations

import json
from importlib.resources import files

from datasets import Dataset, DatasetDict

__all__ = ["ROLES", "embedded_corpus"]

ROLES = (
    "source_train",
    "source_validation",
    "target_train",
    "target_unlabeled",
    "target_validation",
    "target_test",
)


def embedded_corpus() -> DatasetDict:
    """English product reviews as the source and Chinese hotel reviews as the target.

    All sentences were written for this package and share its licence. Splits:
    ``source_train`` and ``source_validation`` (books, electronics, kitchen, films), and
    ``target_train`` (for few-shot and joint runs), ``target_unlabeled``, ``target_validation`` and
    ``target_test`` (hotels; a few rows in traditional characters).

    Returns:
        Columns ``text`` (str), ``label`` ("positive" or "negative"; absent from
        ``target_unlabeled``) and ``domain_name`` (str).

    Example:
        >>> embedded_corpus()["target_test"].column_names
        ['text', 'label', 'domain_name']
    """
    corpus = files("xlingual") / "assets" / "corpus"
    splits = {}
    for split in ROLES:
        lines = (corpus / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
        rows = Dataset.from_list([json.loads(line) for line in lines])
        splits[split] = rows.rename_column("domain", "domain_name")
    return DatasetDict(splits)
