"""The flags of ``distill``."""

from __future__ import annotations

from dataclasses import dataclass

from xlingual.config.checks import check_threshold
from xlingual.config.options import option
from xlingual.config.weights import parse_path_weights
from xlingual.errors import ConfigError

__all__ = ["DistillArguments"]


@dataclass
class DistillArguments:
    """Whose knowledge is taken over, and on what text."""

    teachers: str | None = option(
        None, "Folder(s) or hub id(s) of trained classifiers, comma-separated, each path[*weight]."
    )
    bitext: str | None = option(
        None, "English<TAB>Chinese file(s): the teachers read the English side, the student the "
        "Chinese one.",
    )  # fmt: skip
    bitext_threshold: float = option(
        0.6, "Sentence pairs that the teachers are less sure of are not used."
    )
    bitext_rows: int = option(30_000, "Sentence pairs used at most.")
    guard: bool = option(False, "Keep a student of the hard labels alone where this one is worse.")

    def __post_init__(self) -> None:
        check_threshold("bitext_threshold", self.bitext_threshold)
        if self.bitext_rows < 1:
            raise ConfigError(f"--bitext_rows must be at least 1; got {self.bitext_rows}")
        if not self.teacher_weights:
            raise ConfigError("--teachers needs the folder of a trained classifier, or several")

    @property
    def teacher_weights(self) -> dict[str, float]:
        """Weight by teacher, 1 where none was given."""
        given = parse_path_weights(self.teachers or "", flag="--teachers")
        weights = dict(given)
        if len(weights) < len(given):
            raise ConfigError(f"--teachers takes each path once; got {self.teachers!r}")
        return weights
