"""A plain model from an adapter and its base: ``xlingual merge ADAPTER_FOLDER OUT``.

The result loads without PEFT and carries the tokenizer, the label names, the calibration and the
results along. It is compared with base and adapter before it takes its place.
"""

from __future__ import annotations

import argparse
import sys

__all__ = ["main", "parse"]


def parse(argv: list[str]) -> argparse.Namespace:
    """The command line of ``xlingual merge``."""
    parser = argparse.ArgumentParser(
        prog="xlingual merge",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("adapter", help="folder of the adapter")
    parser.add_argument("output", help="folder to write; it must not exist, or be empty")
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    """Merge, and say where the model is."""
    options = parse(argv)

    from xlingual.saving import merge_adapter

    sys.stdout.write(f"merged: {merge_adapter(options.adapter, options.output)}\n")
