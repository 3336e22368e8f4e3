"""Logging for the package when it runs as a program."""

from __future__ import annotations

import logging
import os

__all__ = ["set_up_logging"]


def set_up_logging() -> None:
    """Send the package's log to stderr, once, from the main process."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    package = logging.getLogger("xlingual")
    package.handlers, package.propagate = [handler], False
    package.setLevel(logging.INFO if os.environ.get("RANK", "0") == "0" else logging.ERROR)
    # Bars for reading and writing a few files would hide the progress of training.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
