"""A plain model from an adapter and its base: ``xlingual merge ADAPTER_FOLDER OUT``.

The result loads without PEFT and carries the tokenizer, the label names, the calibration and the
results along. It is compared with base and adapter before it takes its place.
"""

from __future__ import annotations

import argparse
import sys

__all__ = ["add_flags", "main"]


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of ``xlingual merge``."""
    parser.add_argument("adapter", help="folder of the adapter")
    parser.add_argument("output", help="folder to write; it must not exist, or be empty")


def main(options: argparse.Namespace) -> None:
    """Merge, and say where the model is."""
    from xlingual.saving import merge_adapter

    sys.stdout.write(f"merged: {merge_adapter(options.adapter, options.output)}\n")
