"""An ``argparse`` parser built from dataclasses, for help and shell completion.

It imports nothing heavy and never parses a run's flags: ``parse_arguments`` does that.
"""

from __future__ import annotations

import argparse
import dataclasses
import enum
import shutil
import textwrap
from collections.abc import Iterable, Mapping
from types import UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin, get_type_hints

__all__ = ["Flag", "FlagFormatter", "add_flag_group", "add_flag_groups", "as_typed", "flags_of"]

_METAVARS = {int: "N", float: "X", str: "TEXT", dict: "JSON"}
_INDENT = 28


class FlagFormatter(argparse.HelpFormatter):
    """Wraps help to the terminal, at most 80 columns wide; indented paragraphs are left alone."""

    def __init__(self, prog: str) -> None:
        width = min(80, shutil.get_terminal_size().columns)
        super().__init__(prog, max_help_position=_INDENT, width=width)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = text.strip("\n").replace("``", "").split("\n\n")
        return "\n\n".join(
            part if part.startswith(" ") else textwrap.fill(part, self._width)
            for part in paragraphs
        )


class Flag(NamedTuple):
    """One field of a dataclass, as help shows it."""

    name: str
    help: str
    default: Any
    type: Any


def flags_of(kind: type) -> list[Flag]:
    """The flags of a dataclass, in the order of its fields."""
    hints = get_type_hints(kind)
    return [
        Flag(field.name, str(field.metadata.get("help", "")), _default(field), hints[field.name])
        for field in dataclasses.fields(kind)
        if field.init
    ]


def add_flag_groups(
    parser: argparse.ArgumentParser,
    types: Iterable[type],
    *,
    defaults: Mapping[str, Any] | None = None,
) -> None:
    """Add a group of flags for each dataclass, headed by the first line of its docstring.

    Args:
        parser: The parser to add the groups to.
        types: Dataclasses; a field that two of them share is shown with the first.
        defaults: A recipe's own defaults, which override those of the dataclasses.
    """
    own = defaults or {}
    seen: set[str] = set()
    for kind in types:
        flags = [flag for flag in flags_of(kind) if flag.name not in seen]
        seen.update(flag.name for flag in flags)
        title = (kind.__doc__ or kind.__name__).strip().split("\n")[0].rstrip(".:")
        add_flag_group(
            parser, title, [f._replace(default=own.get(f.name, f.default)) for f in flags]
        )


def add_flag_group(parser: argparse.ArgumentParser, title: str, flags: Iterable[Flag]) -> None:
    """Add one group of flags with their help and defaults."""
    group = parser.add_argument_group(title)
    for flag in flags:
        text = " ".join(flag.help.split()) + _default_note(flag.default)
        group.add_argument(
            f"--{flag.name}",
            metavar=_metavar(flag.type),
            help=text.strip().replace("%", "%%") or None,
            default=argparse.SUPPRESS,
        )


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None if field.default is dataclasses.MISSING else field.default


def _default_note(value: Any) -> str:
    return "" if value in (None, "", []) else f" (default: {as_typed(value)})"


def as_typed(value: Any) -> str:
    """A value as a user would type it after its flag."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, enum.Enum):
        return str(value.value)
    if isinstance(value, (list, tuple)):
        return " ".join(map(as_typed, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _metavar(hint: Any) -> str:
    members = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    kinds = [kind for kind in members if kind is not type(None)]
    if bool in kinds:
        return "BOOL"
    if list in (kinds[0], get_origin(kinds[0])):
        item = (get_args(kinds[0]) or (str,))[0]
        return f"{_METAVARS.get(item, 'TEXT')} ..."
    return next((name for kind, name in _METAVARS.items() if kind in kinds), "TEXT")
