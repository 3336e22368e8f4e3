"""How a recipe's ``main`` is run as a program."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from xlingual.cli.exits import run_program
from xlingual.cli.help import recipe_help

__all__ = ["run_recipe"]


def run_recipe(recipe: Callable[[list[str]], None], argv: Sequence[str] | None = None) -> None:
    """Run a recipe's ``main`` as a program: help at once, errors in one line and exit code 2.

    Args:
        recipe: Takes the arguments after the program's name; its module's docstring is the help.
        argv: The arguments; None: those of the process.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if "-h" in arguments or "--help" in arguments:
        module = sys.modules[recipe.__module__]
        shared = ("ModelArguments", "DataArguments", "TransferArguments")
        types = getattr(module, "ARGUMENTS", shared)
        sys.stdout.write(recipe_help(module.__doc__ or "", types))
        return
    run_program(lambda: recipe(arguments))
