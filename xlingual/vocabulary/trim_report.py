"""The report of a trimmed vocabulary: sizes and coverage."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from xlingual.evaluation.text_tables import render_table, wrap_text
from xlingual.vocabulary.scripts import scripts_of
from xlingual.vocabulary.selection import Usage
from xlingual.vocabulary.weight_rows import stored_parameters, weight_files

__all__ = ["TrimReport", "measure_coverage", "measure_sizes", "warn_of_mismatch"]

logger = logging.getLogger(__name__)

_FEW = 0.5

_NAMES = {
    "Latn": "Latin", "Hani": "Chinese", "Jpan": "kana", "Kore": "Hangul", "Cyrl": "Cyrillic",
    "Grek": "Greek", "Arab": "Arabic", "Hebr": "Hebrew", "Deva": "Devanagari", "Thai": "Thai",
    "Zyyy": "other",
}  # fmt: skip


@dataclass(frozen=True)
class TrimReport:
    """Sizes before and after, and the coverage of the corpus.

    Args:
        output_dir: Where the trimmed model is.
        tokenizer_kind: ``"WordPiece"``, ``"Unigram"``, ``"BPE"`` or ``"WordLevel"``.
        vocabulary_before: Rows of the embedding table.
        vocabulary_after: The same of the trimmed model.
        parameters_before: Numbers stored in the weights; tied weights are stored once.
        parameters_after: The same of the trimmed model.
        bytes_before: Weights and ``tokenizer.json`` on disk.
        bytes_after: The same of the trimmed model.
        num_texts: Texts of the corpus; 0 without one.
        token_coverage: Share of the corpus tokens that would also be kept without the corpus, for
            the languages or as special tokens.
        text_coverage: Share of the texts that consist only of those.
        unknown_share: Share of the corpus tokens that are unknown; trimming does not change it.
        scripts_before: Number of tokens by script (ISO 15924), the most frequent first; ``"Zyyy"``
            is digits, signs, special tokens and any other script.
        scripts_after: The same of the trimmed model.
    """

    output_dir: str
    tokenizer_kind: str
    vocabulary_before: int
    vocabulary_after: int
    parameters_before: int
    parameters_after: int
    bytes_before: int
    bytes_after: int
    num_texts: int = 0
    token_coverage: float | None = None
    text_coverage: float | None = None
    unknown_share: float | None = None
    scripts_before: dict[str, int] = field(default_factory=dict)
    scripts_after: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The fields, ready for JSON."""
        return asdict(self)

    def table(self) -> str:
        """The sizes as a table, and the coverage of the corpus in words."""
        rows = []
        for name in ("vocabulary", "parameters"):
            rows.append(_row(name, *(getattr(self, f"{name}_{m}") for m in ("before", "after"))))
        before, after = self.bytes_before / 1e6, self.bytes_after / 1e6
        rows.append(("size", f"{before:,.1f} MB", f"{after:,.1f} MB", f"{after / before:.1%}"))
        for script, count in self.scripts_before.items():
            name = f"  {_NAMES.get(script, script)}"
            rows.insert(-2, _row(name, count, self.scripts_after.get(script, 0)))
        lines = [render_table(["", "before", "after", "kept"], rows, right=(1, 2, 3))]
        if self.num_texts:
            notes = [
                f"all {self.num_texts:,} texts of the corpus are cut into the same pieces as "
                "before",
                f"without the tokens kept for the corpus, {self.token_coverage:.2%} of its tokens "
                f"and {self.text_coverage:.2%} of its texts would be covered",
                f"unknown to the model before and after: {self.unknown_share:.2%} of its tokens",
            ]
            lines += ["", *map(wrap_text, notes)]
        return "\n".join(lines) + "\n"


def _row(name: str, before: int, after: int) -> tuple[str, str, str, str]:
    return name, f"{before:,}", f"{after:,}", f"{after / before:.1%}"


def measure_sizes(folder: Path, trimmed: Path) -> dict[str, int]:
    """Parameters and bytes of two folders, as fields of the report."""
    sizes = {}
    for moment, place in (("before", folder), ("after", trimmed)):
        files = weight_files(place)
        sizes[f"parameters_{moment}"] = stored_parameters(files)
        paths = [path for path in [*files, place / "tokenizer.json"] if path.is_file()]
        sizes[f"bytes_{moment}"] = sum(path.stat().st_size for path in paths)
    return sizes


def measure_coverage(
    usage: Usage, without_corpus: set[int], num_covered: int, unknown: int | None
) -> dict[str, Any]:
    """The coverage of the corpus by a set of token ids, as fields of the report."""
    total = int(usage.counts.sum())
    if not total:
        return {}
    return {
        "num_texts": usage.num_texts,
        "token_coverage": float(usage.counts[list(without_corpus)].sum() / total),
        "text_coverage": num_covered / usage.num_texts,
        "unknown_share": 0.0 if unknown is None else float(usage.counts[unknown] / total),
    }


def warn_of_mismatch(report: TrimReport, languages: Sequence[str] | None) -> None:
    """Warn if the model, the languages and the corpus do not belong together."""
    for language in languages or ():
        scripts = scripts_of([language])
        if not any(report.scripts_before.get(script) for script in scripts):
            logger.warning(
                "the tokenizer has no token in the script of %s: the model was hardly trained on "
                "it, and there was nothing to keep",
                language,
            )
    if languages and report.token_coverage is not None and report.token_coverage < _FEW:
        logger.warning(
            "the scripts of %s cover only %.0f%% of the corpus tokens; the others were kept only "
            "for the corpus: do languages and files belong together?",
            ", ".join(languages),
            100 * report.token_coverage,
        )
