"""The flags of ``language_adapters``."""

from __future__ import annotations

from dataclasses import dataclass

from xlingual.config.options import option
from xlingual.errors import ConfigError

__all__ = ["LanguageAdapterArguments"]


@dataclass
class LanguageAdapterArguments:
    """Training and use of the two language adapters."""

    language_adapter_epochs: float = option(5.0, "Passes over each language's text.")
    language_adapter_rank: int = option(16, "Rank of the language adapters.")
    language_adapter_learning_rate: float | None = option(
        None, "Peak learning rate of the language adapters; default: by encoder size."
    )
    drop_last_layer: bool = option(
        False, "Leave the language adapter out of the last layer, as MAD-X 2.0 does."
    )
    guard: bool = option(
        True, "Keep the source's language adapter, or a zero-shot model, if the swap goes wrong."
    )
    zero_shot_model: str | None = option(
        None, "Folder or hub id of the zero-shot model that the guard may keep; default: one is "
        "trained with the same kind of adapter.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        if self.language_adapter_rank < 1 or self.language_adapter_epochs <= 0:
            raise ConfigError(
                "--language_adapter_rank must be at least 1 and --language_adapter_epochs above 0; "
                f"got {self.language_adapter_rank} and {self.language_adapter_epochs}"
            )

    def check_kind(self, task_adapter: str | None) -> None:
        """Refuse a task adapter that cannot be added to a language adapter.

        Raises:
            ConfigError: It is not LoRA.
        """
        if task_adapter != "lora":
            raise ConfigError(
                "language and task adapters are LoRA pairs that add; expected --adapter lora, "
                f"got {task_adapter}"
            )
