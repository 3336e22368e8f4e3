"""What trimming did to a model, in numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["TrimReport"]


@dataclass(frozen=True)
class TrimReport:
    """Sizes before and after, and how much of the user's text the kept tokens write.

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
        token_coverage: Share of the corpus' tokens that the languages (and special tokens) cover
            by themselves: what trimming without the corpus would keep.
        text_coverage: Share of its texts that are written wholly in those.
        unknown_share: Share of the corpus' tokens that are unknown; trimming leaves it as it is.
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

    def as_dict(self) -> dict[str, Any]:
        """The fields, ready for JSON."""
        return asdict(self)

    def table(self) -> str:
        """Sizes as a small table for people."""
        rows = [("", "before", "after", "share")]
        for name in ("vocabulary", "parameters", "bytes"):
            before, after = getattr(self, f"{name}_before"), getattr(self, f"{name}_after")
            rows.append((name, f"{before:,}", f"{after:,}", f"{after / before:.1%}"))
        lines = [f"{a:<12}{b:>16}{c:>16}{d:>9}" for a, b, c, d in rows]
        if self.num_texts:
            lines.append(
                f"{self.num_texts:,} texts have the same pieces as before; without the tokens that "
                f"they asked for, {self.token_coverage:.2%} of their tokens and "
                f"{self.text_coverage:.2%} of the texts would be covered"
            )
        return "\n".join(lines) + "\n"
