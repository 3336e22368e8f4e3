"""``--accelerate_config``: run a recipe in several processes with ``accelerate launch``."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from xlingual.cli.catalogue import recipe_folder
from xlingual.cli.exits import USER_ERROR
from xlingual.errors import ConfigError

__all__ = ["launch", "split_launcher"]


def split_launcher(argv: Sequence[str]) -> tuple[str | None, list[str]]:
    """Take ``--accelerate_config NAME|FILE`` out of the arguments.

    Args:
        argv: The arguments of a recipe.

    Returns:
        The path of the config, or None without the flag; and the other arguments.

    Raises:
        ConfigError: The flag has no value, or there is no such config.
    """
    flag = "--accelerate_config"
    words = [
        part
        for word in argv
        for part in (word.split("=", 1) if word.startswith(f"{flag}=") else (word,))
    ]
    if flag not in words:
        return None, words
    at = words.index(flag)
    if at + 1 == len(words):
        raise ConfigError(f"{flag} needs the name of a shipped config, or a file")
    value = words[at + 1]
    shipped = recipe_folder() / "accelerate" / f"{value}.yaml"
    path = shipped if shipped.is_file() else Path(value)
    if not path.is_file():
        names = sorted(file.stem for file in shipped.parent.glob("*.yaml"))
        raise ConfigError(f"{flag} {value}: no such file; shipped configs: {', '.join(names)}")
    return str(path), words[:at] + words[at + 2 :]


def launch(arguments: list[str]) -> None:
    """Run ``accelerate launch``, adding nothing to an error that the recipe has reported.

    By themselves, the launchers print a traceback of their own and exit with code 1, whatever the
    exit codes of the processes.

    Args:
        arguments: The arguments of ``accelerate launch``.
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
    sys.exit(code if code > 0 else 128 - code)  # negative: killed by that signal
