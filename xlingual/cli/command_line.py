"""``xlingual RECIPE --config x.yaml key=value`` and ``xlingual COMMAND``."""

from __future__ import annotations

import argparse
import difflib
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from xlingual.cli.catalogue import commands, load_command, load_recipe, recipes, summary
from xlingual.cli.environment import installed_version
from xlingual.cli.exits import exit_on_error, run_program
from xlingual.cli.help import add_recipe_flags
from xlingual.cli.launcher import launch, split_launcher
from xlingual.cli.recipes import run_recipe
from xlingual.config.flag_parser import FlagFormatter
from xlingual.errors import ConfigError

__all__ = ["main", "make_parser", "run_command"]

_USAGE = """\
xlingual RECIPE [--config FILE.yaml] [--flag value | key=value ...]
       xlingual COMMAND ..."""

_DESCRIPTION = """\
Recipes, by the data you have:

{recipes}

Commands:

{commands}

xlingual NAME --help lists the flags. A recipe's flags can also be keys in --config FILE.yaml, or be
written key=value. --accelerate_config ddp runs a recipe on several devices with accelerate launch.
"""


class _Parser(argparse.ArgumentParser):
    """Raises a ``ConfigError`` for a wrong flag instead of printing the usage."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}; {self.prog} --help lists the flags")


def main(argv: Sequence[str] | None = None) -> None:
    """The ``xlingual`` command.

    Args:
        argv: The arguments; None: those of the process (``sys.argv``).
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        make_parser().print_help()
    elif arguments[0] in recipes():
        exit_on_error(lambda: _run_recipe(recipes()[arguments[0]], arguments[1:]))
    else:
        run_program(lambda: run_command(arguments))


def run_command(argv: Sequence[str]) -> None:
    """Parse the flags of a command and run it.

    Args:
        argv: The command's name and its flags.

    Raises:
        ConfigError: An unknown command or flag.
    """
    name = argv[0]
    if not name.startswith("-") and name not in commands():
        known = [*recipes(), *commands()]
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ConfigError(f"no recipe or command {name!r}; {hint}known: {', '.join(known)}")
    options, unknown = make_parser().parse_known_args(argv)
    if unknown:
        raise ConfigError(f"unknown: {' '.join(unknown)}; xlingual {name} --help lists the flags")
    options.run(options)


def make_parser(*, for_completion: bool = False) -> argparse.ArgumentParser:
    """The parser of ``xlingual``, with a sub-parser for every command and every recipe.

    Args:
        for_completion: Also add the recipes' flags. This parser never parses them: a recipe gets
            its arguments unchanged, because they may also be ``key=value`` or come from a file.
    """
    parser = _Parser(
        prog="xlingual",
        usage=_USAGE,
        description=_DESCRIPTION.format(recipes=_listed(recipes()), commands=_listed(commands())),
        formatter_class=FlagFormatter,
    )
    version = f"xlingual {installed_version('xlingual')}"
    parser.add_argument("--version", action="version", version=version, help="print the version")
    shown = None if for_completion else argparse.SUPPRESS  # the description lists the names
    names = parser.add_subparsers(prog="xlingual", metavar="NAME", help=shown, required=True)
    for name, path in recipes().items():
        recipe = names.add_parser(name, help=summary(path), allow_abbrev=False)
        if for_completion:
            add_recipe_flags(recipe, path)
    for name, path in commands().items():
        module = load_command(name)
        command = names.add_parser(
            name,
            help=summary(path),
            description=module.__doc__,
            formatter_class=FlagFormatter,
            allow_abbrev=False,
        )
        module.add_flags(command)
        command.set_defaults(run=module.main)
    return parser


def _run_recipe(path: Path, argv: list[str]) -> None:
    launcher, argv = split_launcher(argv)
    if launcher is None:
        run_recipe(load_recipe(path).main, argv)
    else:
        launch([f"--config_file={launcher}", str(path), *argv])


def _listed(files: dict[str, Path]) -> str:
    return "\n".join(
        textwrap.fill(
            summary(path), 80, initial_indent=f"  {name:<18} ", subsequent_indent=" " * 21
        )
        for name, path in files.items()
    )
