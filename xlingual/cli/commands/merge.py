"""Merge an adapter into its base model: ``xlingual merge ADAPTER_FOLDER OUT``.

The result loads without PEFT and keeps the tokenizer, the label names, the calibration and the
results. It is compared with the base plus adapter before OUT is written.
"""

from __future__ import annotations

import argparse
import sys

__all__ = ["add_flags", "main"]


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of ``xlingual merge``."""
    parser.add_argument("adapter", help="folder of the adapter")
    parser.add_argument("output", help="new or empty folder to write")


def main(options: argparse.Namespace) -> None:
    """Merge, and print the folder of the model."""
    from xlingual.saving import merge_adapter

    sys.stdout.write(f"merged: {merge_adapter(options.adapter, options.output)}\n")
