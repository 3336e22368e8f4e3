"""Print versions and settings, for a bug report."""

from __future__ import annotations

import argparse
import sys

from xlingual.cli.environment import environment

__all__ = ["add_flags", "main"]


def add_flags(parser: argparse.ArgumentParser) -> None:
    """``xlingual env`` has no flags."""


def main(options: argparse.Namespace) -> None:
    """Print a list in Markdown, to paste into a bug report."""
    sys.stdout.write("".join(f"- {name}: {value}\n" for name, value in environment().items()))
