"""Checks shared by several argument dataclasses; each error names the flag and its value."""

from __future__ import annotations

from collections.abc import Collection

from xlingual.errors import ConfigError

__all__ = ["check_choice", "check_threshold"]


def check_choice(flag: str, value: str, choices: Collection[str]) -> None:
    """Refuse a value that is not one of the flag's choices.

    Raises:
        ConfigError: ``value`` is not in ``choices``.
    """
    if value not in choices:
        raise ConfigError(f"--{flag} takes {', '.join(choices)}; got {value!r}")


def check_threshold(flag: str, value: float) -> None:
    """Refuse a confidence threshold that no row, or every row, would pass.

    Raises:
        ConfigError: ``value`` is not in [0, 1).
    """
    if not 0 <= value < 1:
        raise ConfigError(f"--{flag} must be at least 0 and below 1; got {value}")
