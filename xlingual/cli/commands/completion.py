"""Print a shell completion script: ``xlingual completion bash``.

It completes recipes, commands and flags. Add one of these lines to ~/.bashrc or ~/.zshrc:

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
    parser.add_argument("shell", choices=_SHELLS, help="the shell to complete in")


def main(options: argparse.Namespace) -> None:
    """Print the script for the shell to evaluate."""
    import shtab

    from xlingual.cli.command_line import make_parser

    sys.stdout.write(shtab.complete(make_parser(for_completion=True), options.shell))
