"""``--help_all``: the flags of a recipe and all of transformers', under headings."""

from __future__ import annotations

import argparse
import dataclasses
import enum
from collections.abc import Iterable, Iterator
from typing import Any, get_args, get_type_hints

from xlingual.config.flag_parser import FlagFormatter, add_flag_group, add_flag_groups
from xlingual.config.inherited import FLAG_GROUPS, NEVER, REFUSED
from xlingual.config.transfer_options import TransferOptions

__all__ = ["describe_all"]

_OTHER = "More flags of transformers"
Fields = list[dataclasses.Field[Any]]


def describe_all(types: Iterable[type]) -> str:
    """Every flag with its default: ours by dataclass, those of transformers by what they are about.

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
        hints = get_type_hints(kind)
        for title, fields in _grouped(kind):
            explained = [_explained(field, title, hints[field.name]) for field in fields]
            add_flag_group(parser, title, explained, hints)
    return parser.format_help()


def _grouped(kind: type) -> Iterator[tuple[str, Fields]]:
    """The inherited fields of a dataclass by heading; what has no heading yet comes last."""
    own = {field.name for field in dataclasses.fields(TransferOptions)}
    left = {field.name: field for field in dataclasses.fields(kind) if field.name not in own}
    for title, names in FLAG_GROUPS.items():
        yield title, [left.pop(name) for name in names if name in left]
    if left:
        yield _OTHER, list(left.values())


def _explained(field: dataclasses.Field[Any], title: str, hint: Any) -> dataclasses.Field[Any]:
    """The field with its reason, where it is refused, or with the values that it takes."""
    text = str(field.metadata.get("help", ""))
    if title == NEVER:
        text = f"{next(refused.reason for refused in REFUSED if refused.flag == field.name)}."
    for kind in (hint, *get_args(hint)):
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            text += f" One of {', '.join(str(member.value) for member in kind)}."
    shown = dataclasses.field(default=None, metadata={"help": text})
    shown.name, shown.default, shown.default_factory = (
        field.name, field.default, field.default_factory,
    )  # fmt: skip
    return shown
