"""How a recipe is run as a program: its ``main`` declares the flags, and is called with them."""

from __future__ import annotations

import importlib
import inspect
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

from xlingual.cli.help import recipe_help
from xlingual.errors import XlingualError

__all__ = [
    "USER_ERROR",
    "argument_types",
    "exit_on_error",
    "parse_recipe",
    "run_program",
    "run_recipe",
]

USER_ERROR = 2
# It is one of transformers' TrainingArguments, which load torch; help does not wait for that.
_LOADS_TORCH = "TransferArguments"

Recipe = Callable[..., object]


def argument_types(recipe: Recipe, *, without: Sequence[str] = ()) -> tuple[Any, ...]:
    """The dataclasses whose fields are a recipe's flags: the annotations of its parameters.

    Args:
        recipe: A ``main`` whose parameters are annotated, by dataclasses or by their names in
            ``xlingual``: ``DataArguments``, or ``xl.DataArguments``.
        without: Names that are left out, and not imported.
    """
    public = importlib.import_module("xlingual")  # the package as a recipe sees it, from outside
    kinds = [parameter.annotation for parameter in inspect.signature(recipe).parameters.values()]
    names = [kind.rpartition(".")[2] if isinstance(kind, str) else kind for kind in kinds]
    return tuple(
        getattr(public, name) if isinstance(name, str) else name
        for name in names
        if name not in without
    )


def parse_recipe(recipe: Recipe, argv: Sequence[str]) -> tuple[Any, ...]:
    """The typed arguments of a recipe, from its command line.

    Args:
        recipe: The ``main`` of a recipe; ``DEFAULTS`` of its module are defaults of its flags.
        argv: The arguments after the program's name.

    Raises:
        ConfigError: As ``parse_arguments``.
    """
    from xlingual.config.parsing import parse_arguments

    types = argument_types(recipe)
    defaults = dict(getattr(sys.modules[recipe.__module__], "DEFAULTS", {}))
    if any(field.name == "output_dir" for kind in types for field in fields(kind)):
        defaults.setdefault("output_dir", f"runs/{Path(inspect.getfile(recipe)).stem}")
    return parse_arguments(argv, *types, **defaults)


def run_recipe(recipe: Recipe, argv: Sequence[str] | None = None) -> None:
    """Run a recipe's ``main`` as a program: help at once, errors in one line and exit code 2.

    The parameters of ``main`` are the one declaration of the flags: each is annotated with a
    dataclass, and the fields of all are flags. ``DEFAULTS``, a dict in the recipe's module, holds
    those that differ there. Without arguments the result goes to ``runs/<name of the file>``.

    Args:
        recipe: ``main``; its module's docstring is the help.
        argv: The arguments; None: those of the process.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if "-h" in arguments or "--help" in arguments:
        description = sys.modules[recipe.__module__].__doc__ or ""
        sys.stdout.write(recipe_help(description, argument_types(recipe, without=[_LOADS_TORCH])))
        return
    run_program(lambda: recipe(*parse_recipe(recipe, arguments)))


def run_program(action: Callable[[], object]) -> None:
    """Do what a program does: log to stderr, errors in one line, and an end for all processes."""
    _set_up_logging()
    exit_on_error(action)
    _leave_process_group()


def _leave_process_group() -> None:
    """End together, some time after the last collective.

    A thread of gloo lets go of the tensors of a collective when that is over; if the interpreter
    ends in this moment, the process aborts. One that has nothing to write would run into it.
    """
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        if distributed.get_backend() == "gloo":  # this barrier does without those threads
            distributed.monitored_barrier(timeout=timedelta(days=1))
        distributed.destroy_process_group()


def exit_on_error(action: Callable[[], object]) -> None:
    """Say what a user can mend in one line, and end with exit code 2."""
    try:
        action()
    except XlingualError as error:
        if os.environ.get("LOCAL_RANK", "0") != "0":
            time.sleep(5)  # what fails here mostly fails in all: the first says it, and all end
        sys.stderr.write(f"\nerror: {' '.join(str(error).split())}\n")
        sys.exit(USER_ERROR)
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted; go on with --resume_from_checkpoint true\n")
        sys.exit(130)


def _set_up_logging() -> None:
    """What the package says aloud goes to stderr, once, from the main process."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    package = logging.getLogger("xlingual")
    package.handlers, package.propagate = [handler], False
    package.setLevel(logging.INFO if os.environ.get("RANK", "0") == "0" else logging.ERROR)
    # Bars for reading and writing a few files hide the ones that tell how long training takes.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
