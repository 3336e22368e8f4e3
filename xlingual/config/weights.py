"""Weights in one flag: ``name=2,other=1`` and ``path*2,path``."""

from __future__ import annotations

from xlingual.errors import ConfigError

__all__ = ["parse_name_weights", "parse_path_weights"]


def parse_name_weights(spec: str, *, flag: str) -> dict[str, float]:
    """Read ``name=weight,name=weight``.

    Args:
        spec: The value of the flag.
        flag: Its name and what else it takes, for the message: ``"--class_weights takes auto or"``.

    Raises:
        ConfigError: A part has no ``=``, or its weight is not a number above 0.
    """
    weights = {}
    for part in spec.split(","):
        name, equals, value = part.partition("=")
        weight = _number(value)
        if not equals or not 0 < weight < float("inf"):
            raise ConfigError(
                f"{flag} positive weights by name such as 'negative=2,neutral=1'; got {part!r}"
            )
        weights[name.strip()] = weight
    return weights


def parse_path_weights(spec: str, *, flag: str) -> list[tuple[str, float]]:
    """Read ``path[*weight],path[*weight]``; the default weight is 1.

    Args:
        spec: The value of the flag; empty parts are skipped.
        flag: Its name, for the message.

    Raises:
        ConfigError: A weight is not a number above 0.
    """
    paths = []
    for part in filter(None, map(str.strip, spec.split(","))):
        path, star, weight = (piece.strip() for piece in part.rpartition("*"))
        path, value = (path, _number(weight)) if star else (part, 1.0)
        if not path or not 0 < value < float("inf"):
            raise ConfigError(
                f"{flag} takes path[*weight], comma-separated, each weight above 0; got {part!r}"
            )
        paths.append((path, value))
    return paths


def _number(text: str) -> float:
    """The number, or NaN, which fails every comparison, if the text is not a number."""
    try:
        return float(text)
    except ValueError:
        return float("nan")
