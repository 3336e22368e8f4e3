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
    """The teachers, and the text that they label for the student."""

    teachers: str | None = option(
        None, "Folder(s) or hub id(s) of trained classifiers, comma-separated, each path[*weight]."
    )
    bitext: str | None = option(
        None, "English<TAB>Chinese file(s): the teachers read the English side, the student the "
        "Chinese one.",
    )  # fmt: skip
    bitext_threshold: float = option(0.6, "Minimum confidence of the teachers in a sentence pair.")
    bitext_rows: int = option(30_000, "Maximum number of sentence pairs.")
    guard: bool = option(
        False, "Also train a student on hard labels alone, and keep it if this one is worse."
    )

    def __post_init__(self) -> None:
        check_threshold("bitext_threshold", self.bitext_threshold)
        if self.bitext_rows < 1:
            raise ConfigError(f"--bitext_rows must be at least 1; got {self.bitext_rows}")
        if not self.teacher_weights:
            raise ConfigError(
                "--teachers needs one or more trained classifiers: folders or hub ids"
            )

    @property
    def teacher_weights(self) -> dict[str, float]:
        """The weight of each teacher; 1 by default."""
        given = parse_path_weights(self.teachers or "", flag="--teachers")
        weights = dict(given)
        if len(weights) < len(given):
            raise ConfigError(f"--teachers takes each path once; got {self.teachers!r}")
        return weights
