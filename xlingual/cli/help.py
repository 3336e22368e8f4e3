"""The help of a recipe: every flag that its ``main`` declares, without importing torch."""

from __future__ import annotations

import argparse
import ast
import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xlingual.config.flag_parser import FlagFormatter, add_flag_groups
from xlingual.config.transfer_options import TransferOptions

__all__ = ["add_recipe_flags", "declared_types", "light_type", "recipe_help"]

_SPELLINGS = "Flags can also be keys in --config FILE.yaml, or be written key=value."
_MORE = "--help_all also lists the flags of transformers' TrainingArguments."


def recipe_help(
    description: str, types: Sequence[type | str], *, defaults: Mapping[str, Any] | None = None
) -> str:
    """A recipe's description and all its flags with defaults, grouped by dataclass.

    Args:
        description: The docstring of the recipe.
        types: The dataclasses of its flags, or their public names. Give ``TransferArguments`` by
            its name: the class itself imports transformers.
        defaults: The recipe's own defaults.

    Returns:
        Text of at most 80 columns, if the description's indented lines are no longer.
    """
    kinds = [light_type(kind) if isinstance(kind, str) else kind for kind in types]
    notes = [_SPELLINGS]
    if any(issubclass(kind, TransferOptions) for kind in kinds):
        notes.append(_MORE)
    parser = argparse.ArgumentParser(
        usage=argparse.SUPPRESS,
        description=description.strip(),
        epilog=" ".join(notes),
        formatter_class=FlagFormatter,
        add_help=False,
    )
    add_flag_groups(
        parser,
        (TransferOptions if issubclass(kind, TransferOptions) else kind for kind in kinds),
        defaults=defaults,
    )
    return parser.format_help()


def add_recipe_flags(parser: argparse.ArgumentParser, recipe: Path) -> None:
    """Add all flags of a recipe to a parser, including those that start and explain it."""
    parser.add_argument("--config", metavar="FILE", help="YAML file of flags")
    parser.add_argument(
        "--accelerate_config", metavar="NAME", help="name of a shipped config, or a file"
    )
    parser.add_argument("--help_all", action="store_true", help="list all flags")
    add_flag_groups(parser, declared_types(recipe))


def light_type(name: str) -> type:
    """The dataclass of a public name; for ``TransferArguments``, the half without transformers."""
    if name == "TransferArguments":
        return TransferOptions
    return getattr(importlib.import_module("xlingual"), name)


def declared_types(recipe: Path) -> list[type]:
    """The dataclasses that a recipe's ``main`` declares as its flags, read without running it."""
    tree = ast.parse(recipe.read_text(encoding="utf-8"))
    mains = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "main"]
    annotations = [arg.annotation for main in mains for arg in main.args.args]
    named = [node for node in annotations if isinstance(node, (ast.Name, ast.Attribute))]
    return [light_type(ast.unparse(node).rpartition(".")[2]) for node in named]
