"""``--help_all``: the flags of a recipe and all flags of transformers, under headings."""

from __future__ import annotations

import argparse
import enum
from collections.abc import Iterable, Iterator
from typing import get_args

from xlingual.config.flag_parser import (
    Flag,
    FlagFormatter,
    add_flag_group,
    add_flag_groups,
    flags_of,
)
from xlingual.config.inherited import FLAG_GROUPS, NEVER, REFUSED
from xlingual.config.transfer_options import TransferOptions

__all__ = ["describe_all"]

_OTHER = "More flags of transformers"


def describe_all(types: Iterable[type]) -> str:
    """Every flag with its default: ours grouped by dataclass, those of transformers by topic.

    Args:
        types: The dataclasses of the flags.
    """
    parser = argparse.ArgumentParser(
        usage=argparse.SUPPRESS, formatter_class=FlagFormatter, add_help=False
    )
    inherited: list[type] = []
    light: list[type] = []
    for kind in types:
        has_more = issubclass(kind, TransferOptions) and kind is not TransferOptions
        light.append(TransferOptions if has_more else kind)
        inherited += [kind] * has_more
    add_flag_groups(parser, light)
    for kind in inherited:
        for title, flags in _grouped(kind):
            add_flag_group(parser, title, [_explained(flag, title) for flag in flags])
    return parser.format_help()


def _grouped(kind: type) -> Iterator[tuple[str, list[Flag]]]:
    """The inherited flags of a dataclass by heading; those without a heading come last."""
    own = {flag.name for flag in flags_of(TransferOptions)}
    left = {flag.name: flag for flag in flags_of(kind) if flag.name not in own}
    for title, names in FLAG_GROUPS.items():
        yield title, [left.pop(name) for name in names if name in left]
    if left:
        yield _OTHER, list(left.values())


def _explained(flag: Flag, title: str) -> Flag:
    """The flag with the reason why it is refused, or with its allowed values."""
    if title == NEVER:
        reason = next(refused.reason for refused in REFUSED if refused.flag == flag.name)
        return flag._replace(help=f"{reason[0].upper()}{reason[1:]}.")
    choices = [
        ", ".join(str(member.value) for member in kind)
        for kind in (flag.type, *get_args(flag.type))
        if isinstance(kind, type) and issubclass(kind, enum.Enum)
    ]
    return flag._replace(help=f"{flag.help} One of {choices[0]}.") if choices else flag
