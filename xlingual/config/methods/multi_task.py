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
    """Several tasks or domains on one encoder."""

    separate_heads: bool = option(
        False, "Treat the names in source_train as tasks, each with its own labels and head; "
        "default: as domains of one task.",
    )  # fmt: skip
    loss_weights: str = option(
        "fixed", "fixed (as given by path*weight in the data flags) or uncertainty (learnt)."
    )
    sampling_temperature: float = option(
        1.0, "T: repeats rows of small sets until sizes are proportional to n^(1/T); 1 is off."
    )
    guard: bool = option(
        False, "Also train by plain fine-tuning, and keep that model if this one is worse."
    )

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
