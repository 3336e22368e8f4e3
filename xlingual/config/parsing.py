"""Parse a YAML file and flags into dataclasses: defaults < ``--config`` < flags."""

from __future__ import annotations

import dataclasses
import difflib
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, NoReturn, Union, get_args, get_origin, get_type_hints

import yaml

from xlingual.config.help_all import describe_all
from xlingual.errors import ConfigError

if TYPE_CHECKING:
    from transformers import HfArgumentParser

__all__ = ["parse_arguments"]


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
        >>> from xlingual.config.methods import ZeroShotArguments
        >>> parse_arguments(["r_drop_weight=1"], ZeroShotArguments)
        (ZeroShotArguments(r_drop_weight=1.0, correct_label_shift=False),)
    """
    known = {field.name for kind in types for field in dataclasses.fields(kind) if field.init}
    parser = _make_parser(types)
    flags = _as_flags(argv, switches=_let_switches_stand_alone(parser))
    if "--help_all" in flags:
        sys.stdout.write(describe_all(types))
        raise SystemExit
    path, flags = _split_config(flags)
    hints = {name: hint for kind in types for name, hint in get_type_hints(kind).items()}
    config = _read_config(path, hints) if path is not None else {}
    names = [flag[2:].split("=")[0].replace("-", "_") for flag in flags if flag.startswith("--")]
    names = [name for name in names if name.removeprefix("no_") not in known]
    unknown = [
        f"{name!r}{where}{_nearest(name, known)}"
        for where, group in ((f" in {path}", config), ("", names))
        for name in group
        if name not in known
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


def _make_parser(types: Sequence[Any]) -> HfArgumentParser:
    from transformers import HfArgumentParser

    class Parser(HfArgumentParser):
        """Raises a ``ConfigError`` instead of printing 200 flags."""

        def error(self, message: str) -> NoReturn:
            raise ConfigError(f"{message}; --help lists the usual flags, --help_all all of them")

    return Parser(types, allow_abbrev=False, add_help=False)


def _let_switches_stand_alone(parser: HfArgumentParser) -> set[str]:
    """Let ``--freeze_embeddings`` alone mean ``true``, even where the default is None."""
    from transformers.hf_argparser import string_to_bool

    switches: set[str] = set()
    for action in parser._actions:
        if action.type is string_to_bool:
            action.nargs, action.const = "?", True
        if action.nargs in ("?", 0):
            switches.update(action.option_strings)
    return switches


def _as_flags(argv: Sequence[str], *, switches: set[str]) -> list[str]:
    """Turn ``key=value`` into ``--key=value``, unless it is the value of the flag before it."""
    flags: list[str] = []
    for argument in argv:
        key, equals, _ = argument.partition("=")
        before = flags[-1] if flags else ""
        is_value = before.startswith("--") and "=" not in before and before not in switches
        is_key = bool(equals) and key.isidentifier() and not is_value
        flags.append(f"--{argument}" if is_key else argument)
    return flags


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


def _read_config(path: str, hints: Mapping[str, Any]) -> dict[str, Any]:
    """Read a YAML file; its scalars stay strings, which the flags' own types parse.

    YAML would read ``no`` (a save strategy) as false and ``1e-4`` as a string. A key without a
    value, or with ``null``, keeps the default.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        content, typed = yaml.load(text, yaml.BaseLoader), yaml.safe_load(text)
    except OSError as error:
        raise ConfigError(f"--config {path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"--config {path} is not YAML: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        kind = type(content).__name__
        raise ConfigError(f"--config {path}: expected 'key: value' lines, got a {kind}")
    return {
        key: _one_value(key, value, typed_value, hints.get(key))
        for (key, value), typed_value in zip(content.items(), typed.values(), strict=True)
        if typed_value is not None
    }


def _one_value(key: str, value: Any, typed_value: Any, hint: Any) -> Any:
    """Convert a value, given as text and as parsed by YAML, to what its flag takes.

    Files and label maps may use YAML syntax: ``[a.csv, b.csv]`` for ``a.csv,b.csv``,
    ``{1: positive, 0: negative}`` for ``1=positive,0=negative``.
    """
    members = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    kinds = {get_origin(kind) or kind for kind in members}
    if bool in kinds and isinstance(typed_value, bool):
        return typed_value
    if isinstance(value, str):
        return value.replace(",", " ").split() if kinds <= {list, type(None)} else value
    if type(value) in kinds:
        return typed_value
    if kinds <= {str, type(None)}:
        pairs = value.items() if isinstance(value, dict) else ()
        return ",".join([f"{old}={new}" for old, new in pairs] or map(str, value))
    if hint is not None:
        raise ConfigError(f"--config: {key!r} takes one value; got {typed_value}")
    return typed_value


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" (did you mean {near[0]!r}?)" if near else ""
