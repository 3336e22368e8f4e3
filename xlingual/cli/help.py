"""The help of a recipe, without torch, so that it answers at once."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

__all__ = ["recipe_help"]


def recipe_help(description: str, types: Sequence[Any]) -> str:
    """A recipe's description and its flags.

    Args:
        description: The docstring of its module.
        types: The dataclasses whose fields are the flags, but for ``TransferArguments``.
    """
    lines = [description.strip(), "", "flags (or keys of --config x.yaml, or key=value):"]
    for kind in types:
        for field in fields(kind):
            text = f"--{field.name:<20} {field.metadata['help']}"
            lines += textwrap.wrap(text, 96, initial_indent="  ", subsequent_indent=" " * 25)
    if not any("  --output_dir" in line for line in lines):
        lines += [
            "  --output_dir           Where the model, the checkpoints and the results go.",
            "  --adapter, --selection, --num_train_epochs, --seed, ... everything that",
            "  TransferArguments and transformers' TrainingArguments hold: see --help_all",
        ]
    return "\n".join(lines) + "\n"
