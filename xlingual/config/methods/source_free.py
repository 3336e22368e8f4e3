"""The flags of ``source_free``."""

from __future__ import annotations

from dataclasses import dataclass

from xlingual.config.options import option
from xlingual.errors import ConfigError

__all__ = ["SourceFreeArguments"]


@dataclass
class SourceFreeArguments:
    """Adaptation of a trained model to target text."""

    num_rounds: int = option(5, "Rounds of new pseudo-labels, one pass over the text each.")
    pseudo_label_weight: float = option(0.3, "Weight of the centroid pseudo-labels.")
    diversity_weight: float = option(1.0, "Weight that keeps the classes at their first shares.")
    guard: bool = option(True, "Stop at the first round that shows signs of collapse.")

    def __post_init__(self) -> None:
        if self.num_rounds < 1:
            raise ConfigError(f"--num_rounds must be at least 1; got {self.num_rounds}")
        for name in ("pseudo_label_weight", "diversity_weight"):
            if getattr(self, name) < 0:
                raise ConfigError(f"--{name} must be at least 0; got {getattr(self, name)}")
