"""The flags of ``multi_task``."""

from __future__ import annotations

from dataclasses import dataclass

from xlingual.config.checks import check_choice
from xlingual.config.options import option
from xlingual.errors import ConfigError

__all__ = ["MultiTaskArguments"]

LOSS_WEIGHTS = ("fixed", "uncertainty")


@dataclass
class MultiTaskArguments:
    """How several tasks or domains share one encoder."""

    separate_heads: bool = option(
        False, "The names in source_train are tasks, each with its own labels and head; otherwise "
        "they are domains of one task.",
    )  # fmt: skip
    loss_weights: str = option(
        "fixed", "fixed (those of the data arguments, path*weight) or uncertainty (learnt)."
    )
    sampling_temperature: float = option(
        1.0, "T: rows of small sets are repeated until sizes are as n^(1/T); 1 repeats none."
    )
    guard: bool = option(False, "Keep a model of plain fine-tuning where this one is worse.")

    def __post_init__(self) -> None:
        check_choice("loss_weights", self.loss_weights, LOSS_WEIGHTS)
        if not self.sampling_temperature >= 1:
            raise ConfigError(
                f"--sampling_temperature must be at least 1; got {self.sampling_temperature}"
            )
        is_plain = self.loss_weights == "fixed" and self.sampling_temperature == 1
        if self.guard and (self.separate_heads or is_plain):
            raise ConfigError(
                "--guard compares with plain fine-tuning on one head: it needs --loss_weights "
                "uncertainty or a --sampling_temperature above 1, and no --separate_heads"
            )
