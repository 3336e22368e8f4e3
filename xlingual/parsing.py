"""From a YAML file and flags to dataclasses: defaults < ``--config`` < flags, and no surprises."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml
from transformers import HfArgumentParser

from xlingual.errors import ConfigError

__all__ = ["parse_arguments"]


class _Parser(HfArgumentParser):
    """Reports what is wrong as our error, not by printing 200 flags."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}; --help lists the usual flags, --help_all all of them")


def parse_arguments(argv: Sequence[str], *types: Any, **defaults: Any) -> tuple[Any, ...]:
    """Read ``--config file.yaml``, ``--flag value`` and ``flag=value`` into dataclasses.

    Args:
        argv: The arguments after the program's name.
        types: Dataclasses whose fields are the flags.
        defaults: A recipe's own defaults, below ``--config`` and flags.

    Returns:
        One instance of each type, in order.

    Raises:
        ConfigError: Unknown keys (all of them, each with the nearest valid one), a value of the
            wrong type, or arguments that contradict each other.

    Example:
        >>> from xlingual.arguments import FewShotArguments
        >>> parse_arguments(["shots_per_label=8"], FewShotArguments)
        (FewShotArguments(shots_per_label=8, regime='joint'),)
    """
    known = {field.name for kind in types for field in dataclasses.fields(kind) if field.init}
    parser = _Parser(types, allow_abbrev=False, add_help=False)
    flags = [_as_flag(argument, known) for argument in argv]
    if "--help_all" in flags:
        parser.print_help()
        raise SystemExit
    path, flags = _split_config(flags)
    config = _read_config(path) if path is not None else {}
    names = [flag[2:].split("=")[0].replace("-", "_") for flag in flags if flag.startswith("--")]
    unknown = [
        f"{name!r}{where}{_nearest(name, known)}"
        for where, group in ((f" in {path}", config), ("", names))
        for name in group
        if name not in known and name.removeprefix("no_") not in known
    ]
    if unknown:
        raise ConfigError("unknown: " + "; ".join(unknown))
    parser.set_defaults(**{**defaults, **config})
    try:
        *parsed, rest = parser.parse_args_into_dataclasses(flags, return_remaining_strings=True)
    except (ValueError, TypeError) as error:
        raise error if isinstance(error, ConfigError) else ConfigError(str(error)) from error
    if rest:
        raise ConfigError(f"expected --flag value or flag=value; got {' '.join(rest)}")
    return tuple(parsed)


def _as_flag(argument: str, known: Iterable[str]) -> str:
    """``key=value`` is ``--key=value`` where the key is one."""
    key = argument.split("=", 1)[0]
    return f"--{argument}" if "=" in argument and key in known else argument


def _split_config(flags: list[str]) -> tuple[str | None, list[str]]:
    """Take ``--config path`` out of the flags."""
    path, rest, pending = None, [], False
    for flag in flags:
        if pending:
            path, pending = flag, False
        elif flag == "--config":
            pending = True
        elif flag.startswith("--config="):
            path = flag.partition("=")[2]
        else:
            rest.append(flag)
    if pending:
        raise ConfigError("--config needs the path of a YAML file")
    return path, rest


def _read_config(path: str) -> dict[str, Any]:
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"--config {path} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"--config {path} is not YAML: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        kind = type(content).__name__
        raise ConfigError(f"--config {path}: expected 'key: value' lines, got a {kind}")
    return {str(key): value for key, value in content.items()}


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" (did you mean {near[0]!r}?)" if near else ""
