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
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from types import ModuleType

from xlingual.cli.recipes import USER_ERROR, exit_on_error, run_program, run_recipe
from xlingual.errors import ConfigError

__all__ = ["environment", "main", "run_recipe"]

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
        exit_on_error(lambda: _run(command, arguments[1:]))


def _run(name: str, argv: list[str]) -> None:
    if name in _commands():
        _run_command(importlib.import_module(f"xlingual.cli.commands.{name}"), argv)
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


def _run_command(command: ModuleType, argv: list[str]) -> None:
    if "-h" in argv or "--help" in argv:
        command.parse(["--help"])
    run_program(lambda: command.main(argv))


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
