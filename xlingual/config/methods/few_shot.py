"""The flags of ``few_shot``."""

from __future__ import annotations

from dataclasses import dataclass

from xlingual.config.checks import check_choice
from xlingual.config.options import option
from xlingual.errors import ConfigError

__all__ = ["ZERO_SHOT_MODEL_HELP", "FewShotArguments"]

REGIMES = ("joint", "sequential")
ZERO_SHOT_MODEL_HELP = (
    "Folder or hub id of a zero-shot model to start from, fine-tuned on the source with the same "
    "labels, for example the --output_dir of zero_shot; default: one is trained."
)


@dataclass
class FewShotArguments:
    """A few labelled target rows, and how to train on them."""

    shots_per_label: int = option(16, "k: labelled target rows per label.")
    regime: str = option(
        "joint", "joint (source and shots in one run) or sequential (source first, then shots)."
    )
    shot_weight: float = option(
        10.0, "Weight of a shot relative to a row of --target_unlabeled labelled by co-training."
    )
    zero_shot_model: str | None = option(None, ZERO_SHOT_MODEL_HELP)

    def __post_init__(self) -> None:
        check_choice("regime", self.regime, REGIMES)
        if self.shots_per_label < 1:
            raise ConfigError(f"--shots_per_label must be at least 1; got {self.shots_per_label}")
        if self.shot_weight <= 0:
            raise ConfigError(f"--shot_weight must be above 0; got {self.shot_weight}")

    def check_adapter(self, adapter: str | None) -> None:
        """Refuse an adapter where training continues from a model without one.

        Raises:
            ConfigError: The sequential regime would continue from ``zero_shot_model`` with an
                adapter.
        """
        if self.zero_shot_model and self.regime == "sequential" and adapter not in (None, "none"):
            raise ConfigError(
                "--regime sequential continues from --zero_shot_model, which has no adapter to "
                f"train further; leave out --adapter {adapter} or --zero_shot_model, or use "
                "--regime joint"
            )
