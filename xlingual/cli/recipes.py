"""Run a recipe as a program: its ``main`` declares the flags and is called with them."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from xlingual.cli.exits import run_program
from xlingual.cli.help import recipe_help

__all__ = ["argument_types", "parse_recipe", "run_recipe"]

Recipe = Callable[..., object]


def declared_arguments(recipe: Recipe) -> list[Any]:
    """The dataclasses that a recipe's parameters are annotated with, or their public names.

    Args:
        recipe: A ``main`` whose parameters are annotated, by dataclasses or by their names in
            ``xlingual``: ``DataArguments``, or ``xl.DataArguments``.
    """
    kinds = [parameter.annotation for parameter in inspect.signature(recipe).parameters.values()]
    return [kind.rpartition(".")[2] if isinstance(kind, str) else kind for kind in kinds]


def argument_types(recipe: Recipe) -> tuple[Any, ...]:
    """The dataclasses whose fields are a recipe's flags: the annotations of its parameters."""
    public = importlib.import_module("xlingual")  # the package as a recipe sees it, from outside
    return tuple(
        getattr(public, kind) if isinstance(kind, str) else kind
        for kind in declared_arguments(recipe)
    )


def own_defaults(recipe: Recipe) -> dict[str, Any]:
    """``DEFAULTS`` of a recipe's module, and ``runs/<name of the file>`` for the result."""
    defaults = {"output_dir": f"runs/{Path(inspect.getfile(recipe)).stem}"}
    return defaults | dict(getattr(sys.modules[recipe.__module__], "DEFAULTS", {}))


def parse_recipe(recipe: Recipe, argv: Sequence[str]) -> tuple[Any, ...]:
    """The typed arguments of a recipe, from its command line.

    Args:
        recipe: The ``main`` of a recipe; ``DEFAULTS`` of its module override its flags' defaults.
        argv: The arguments after the program's name.

    Raises:
        ConfigError: As ``parse_arguments``.
    """
    from xlingual.config.parsing import parse_arguments

    types = argument_types(recipe)
    known = {field.name for kind in types for field in fields(kind)}
    defaults = {name: value for name, value in own_defaults(recipe).items() if name in known}
    return parse_arguments(argv, *types, **defaults)


def run_recipe(recipe: Recipe, argv: Sequence[str] | None = None) -> None:
    """Run a recipe's ``main`` as a program: instant help, errors in one line, exit code 2.

    The parameters of ``main`` declare the flags: each is annotated with a dataclass, whose fields
    are flags. ``DEFAULTS``, a dict in the recipe's module, overrides their defaults. The default
    ``output_dir`` is ``runs/<name of the file>``.

    Args:
        recipe: ``main``; its module's docstring is the help.
        argv: The arguments; None: those of the process (``sys.argv``).
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if "-h" in arguments or "--help" in arguments:
        description = sys.modules[recipe.__module__].__doc__ or ""
        types, defaults = declared_arguments(recipe), own_defaults(recipe)
        sys.stdout.write(recipe_help(description, types, defaults=defaults))
        return
    run_program(lambda: recipe(*parse_recipe(recipe, arguments)))
