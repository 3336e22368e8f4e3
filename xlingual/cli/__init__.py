"""``xlingual RECIPE --config x.yaml key=value``, ``xlingual COMMAND``, and how a recipe is run."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import logging
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from xlingual.errors import ConfigError, XlingualError

__all__ = ["environment", "main", "run_recipe"]

USER_ERROR = 2

_PACKAGES = (
    "torch", "transformers", "accelerate", "peft", "datasets", "evaluate", "tokenizers",
    "safetensors", "scikit-learn", "numpy",
)  # fmt: skip
_VARIABLES = ("HF_HOME", "HF_ENDPOINT", "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_TOKEN")


def main(argv: Sequence[str] | None = None) -> None:
    """The ``xlingual`` command."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = arguments[0] if arguments else "--help"
    if command in ("-h", "--help"):
        sys.stdout.write(_usage())
    elif command == "--version":
        sys.stdout.write(f"xlingual {_version('xlingual')}\n")
    elif command == "env":
        sys.stdout.write("\n".join(f"- {k}: {v}" for k, v in environment().items()) + "\n")
    else:
        _exit_on_error(lambda: _run(command, arguments[1:]))


def _run(name: str, argv: list[str]) -> None:
    if name in _commands():
        run_recipe(importlib.import_module(f"xlingual.cli.commands.{name}").main, argv)
        return
    path = _recipes().get(name)
    if path is None:
        there = ", ".join([*_recipes(), *_commands()])
        raise ConfigError(f"no recipe or command {name!r}; there are {there}, and env")
    launcher, argv = _split_launcher(argv)
    if launcher is None:
        run_recipe(_load(path).main, argv)
    else:
        _launch([f"--config_file={launcher}", str(path), *argv])


def _launch(arguments: list[str]) -> None:
    """``accelerate launch``, but where the recipe has said what is wrong, nothing is added to it.

    The launchers end with a traceback of their own, and with exit code 1, whatever the processes
    ended with.
    """
    from accelerate.commands.launch import launch_command, launch_command_parser
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    try:
        launch_command(launch_command_parser().parse_args(arguments))
    except subprocess.CalledProcessError as failed:
        code = failed.returncode
    except ChildFailedError as failed:
        code = failed.get_first_failure()[1].exitcode
    else:
        return
    if code != USER_ERROR:
        sys.stderr.write(f"\nerror: a process of the run ended with exit code {code}\n")
    sys.exit(code if code > 0 else 128 - code)  # below 0: the signal that killed it


def _split_launcher(argv: list[str]) -> tuple[str | None, list[str]]:
    """Take ``--accelerate_config NAME|FILE`` out; with it the recipe runs by accelerate launch."""
    flag = "--accelerate_config"
    argv = [
        part
        for word in argv
        for part in (word.split("=", 1) if word.startswith(f"{flag}=") else (word,))
    ]
    if flag not in argv:
        return None, argv
    at = argv.index(flag)
    if at + 1 == len(argv):
        raise ConfigError(f"{flag} needs the name of a shipped config, or a file")
    value = argv[at + 1]
    shipped = _recipe_folder() / "accelerate" / f"{value}.yaml"
    path = shipped if shipped.is_file() else Path(value)
    if not path.is_file():
        names = sorted(file.stem for file in shipped.parent.glob("*.yaml"))
        raise ConfigError(f"{flag} {value}: no such file; shipped are {', '.join(names)}")
    return str(path), argv[:at] + argv[at + 2 :]


def run_recipe(recipe: Callable[[list[str]], None], argv: Sequence[str] | None = None) -> None:
    """Run a recipe's ``main`` as a program: help at once, errors in one line and exit code 2.

    Args:
        recipe: Takes the arguments after the program's name; its module's docstring is the help.
        argv: The arguments; None: those of the process.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if "-h" in arguments or "--help" in arguments:
        module = sys.modules[recipe.__module__]
        if hasattr(module, "parse"):  # a command explains its flags itself
            module.parse(["--help"])
        flags = _usual_flags(*getattr(module, "ARGUMENTS", ()))
        sys.stdout.write(f"{(module.__doc__ or '').strip()}\n{flags}")
        return
    _set_up_logging()
    _exit_on_error(lambda: recipe(arguments))
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


def _exit_on_error(action: Callable[[], None]) -> None:
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


def _usual_flags(*own: Any) -> str:
    """The flags of model and data, or a recipe's own; without torch, so that help is instant.

    Args:
        own: The dataclasses of a recipe that has no others.
    """
    from dataclasses import fields

    from xlingual.config.options import DataArguments, ModelArguments

    lines = ["", "flags (or keys of --config x.yaml, or key=value):"]
    for kind in own or (ModelArguments, DataArguments):
        lines += [f"  --{field.name:<20} {field.metadata['help']}" for field in fields(kind)]
    if not own:
        lines += [
            "  --output_dir           Where the model, the checkpoints and the results go.",
            "  --adapter, --selection, --num_train_epochs, --seed, ... everything that",
            "  TransferArguments and transformers' TrainingArguments hold: see --help_all",
        ]
    return "\n".join(lines) + "\n"


def _recipe_folder() -> Path:
    """Beside the package in a checkout, inside it in an installed wheel."""
    package = Path(__file__).parents[1]
    inside = package / "recipes"
    return inside if inside.is_dir() else package.parent / "recipes"


def _recipes() -> dict[str, Path]:
    return {path.stem: path for path in sorted(_recipe_folder().glob("*.py"))}


def _commands() -> list[str]:
    return sorted(path.stem for path in (Path(__file__).parent / "commands").glob("[!_]*.py"))


def _summary(path: Path) -> str:
    """The first line of a file's docstring, without importing the file."""
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n")[0]


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"xlingual_recipe_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} cannot be loaded as a recipe")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _usage() -> str:
    lines = ["usage: xlingual RECIPE [--config x.yaml] [--flag value | key=value ...]", ""]
    lines += [f"  {name:<18} {_summary(path)}" for name, path in _recipes().items()]
    lines += ["", "or: xlingual COMMAND ..., on a model that is there", ""]
    folder = Path(__file__).parent / "commands"
    lines += [f"  {name:<18} {_summary(folder / f'{name}.py')}" for name in _commands()]
    lines += [
        f"  {'env':<18} Versions and settings, for a bug report.",
        "",
        "xlingual RECIPE --help shows a recipe's flags; --accelerate_config ddp runs it on several",
        "devices by accelerate launch.",
    ]
    return "\n".join(lines) + "\n"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def environment() -> dict[str, str]:
    """What a bug report needs: versions, hardware, and the settings that change behaviour."""
    import torch

    from xlingual.config.training import has_bf16

    found = {"xlingual": _version("xlingual"), "python": platform.python_version()}
    found["platform"] = platform.platform()
    found |= {package: _version(package) for package in _PACKAGES}
    on_gpu = torch.cuda.is_available()
    found["device"] = torch.cuda.get_device_name() if on_gpu else f"CPU, {os.cpu_count()} cores"
    found["bfloat16"] = "native" if has_bf16(on_gpu) else "not native"
    for variable in _VARIABLES:
        value = os.environ.get(variable)
        found[variable] = "unset" if value is None else "set" if "TOKEN" in variable else value
    return found
