"""The flags of ``private``."""

from __future__ import annotations

from dataclasses import dataclass

from xlingual.config.options import option
from xlingual.errors import ConfigError

__all__ = ["PrivateArguments"]


@dataclass
class PrivateArguments:
    """The privacy budget of a training row, and how it is spent."""

    private_epsilon: float = option(8.0, "The privacy budget epsilon; smaller is more private.")
    private_delta: float = option(1e-5, "delta; well below 1 / (number of training rows).")
    private_clipping_norm: float = option(0.1, "Maximum norm of one row's gradient.")
    private_seed: int | None = option(
        None,
        "Makes the noise repeatable, for tests only: anyone who knows it can remove the noise.",
    )

    def __post_init__(self) -> None:
        problems = [
            f"--{name} must be above 0{bound}; got {getattr(self, name)}"
            for name, highest, bound in (
                ("private_epsilon", float("inf"), ""),
                ("private_delta", 1.0, " and below 1"),
                ("private_clipping_norm", float("inf"), ""),
            )
            if not 0 < getattr(self, name) < highest
        ]
        if problems:
            raise ConfigError("; ".join(problems))
