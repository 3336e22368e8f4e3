"""The flags of ``zero_shot``."""

from __future__ import annotations

from dataclasses import dataclass

from xlingual.config.options import option
from xlingual.errors import ConfigError

__all__ = ["ZeroShotArguments"]


@dataclass
class ZeroShotArguments:
    """Options beyond plain fine-tuning on the source."""

    r_drop_weight: float = option(
        0.0, "R-Drop: two passes over a row, one with a tenth of its tokens hidden, must agree; "
        "1 is mild, 0 is off. Doubles the cost.",
    )  # fmt: skip
    correct_label_shift: bool = option(
        False,
        "Move the output bias to the class shares of --target_unlabeled, if they can be told.",
    )

    def __post_init__(self) -> None:
        if not 0 <= self.r_drop_weight < float("inf"):
            raise ConfigError(f"--r_drop_weight must be at least 0; got {self.r_drop_weight}")
