"""Shell completion of recipes, commands and flags: ``xlingual completion bash``.

Put one line into ~/.bashrc or ~/.zshrc:

    eval "$(xlingual completion bash)"
    eval "$(xlingual completion zsh)"
"""

from __future__ import annotations

import argparse
import sys

__all__ = ["add_flags", "main"]

_SHELLS = ("bash", "zsh")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of ``xlingual completion``."""
    parser.add_argument("shell", choices=_SHELLS, help="the shell that completes")


def main(options: argparse.Namespace) -> None:
    """Print the script that the shell reads."""
    import shtab

    from xlingual.cli.command_line import make_parser

    sys.stdout.write(shtab.complete(make_parser(for_completion=True), options.shell))
