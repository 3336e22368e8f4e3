"""The flags of ``unlabeled_target``."""

from __future__ import annotations

from dataclasses import dataclass

from xlingual.config.checks import check_choice
from xlingual.config.methods.few_shot import ZERO_SHOT_MODEL_HELP
from xlingual.config.options import option
from xlingual.errors import ConfigError

__all__ = ["UNLABELED_TARGET_METHODS", "UnlabeledTargetArguments"]

UNLABELED_TARGET_METHODS = (
    "recommended", "co_training", "self_training", "continued_pretraining", "dann", "cdan", "mmd",
    "coral",
)  # fmt: skip


@dataclass
class UnlabeledTargetArguments:
    """Adaptation to target text without labels."""

    method: str = option(
        "recommended",
        "recommended (co_training, or self_training where the n-grams of the text cannot predict "
        "labels), co_training, self_training, continued_pretraining, dann, cdan, mmd or coral.",
    )
    self_training_rounds: int = option(3, "Rounds of pseudo-labels, each with more rows.")
    confidence_threshold: float = option(0.8, "Minimum confidence of a pseudo-label.")
    pretraining_epochs: float = option(5.0, "Passes of masked prediction over both sides' text.")
    guard: bool = option(True, "Keep the zero-shot model if the new one shows signs of collapse.")
    zero_shot_model: str | None = option(None, ZERO_SHOT_MODEL_HELP)

    def __post_init__(self) -> None:
        check_choice("method", self.method, UNLABELED_TARGET_METHODS)
        if not 0 < self.confidence_threshold < 1:
            raise ConfigError(
                f"--confidence_threshold must be between 0 and 1; got {self.confidence_threshold}"
            )
        if self.self_training_rounds < 1:
            raise ConfigError(
                f"--self_training_rounds must be at least 1; got {self.self_training_rounds}"
            )
