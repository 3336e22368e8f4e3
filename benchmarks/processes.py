"""Run recipes as processes, forked from one that has imported the heavy packages."""

from __future__ import annotations

import json
import multiprocessing
import os
import runpy
import sys
import tempfile
import time
from pathlib import Path

RECIPES = Path(__file__).parent.parent / "recipes"

# A run is forked from a process that has imported these, so its seconds exclude the imports.
_IMPORTED = (
    "accelerate",
    "datasets",
    "peft",
    "sklearn.linear_model",
    "torch",
    "transformers.trainer",
    "transformers.models.bert.modeling_bert",
    "transformers.models.modernbert.modeling_modernbert",
    "xlingual.data",
    "xlingual.reporting.finishing",
    "xlingual.training.trainer",
    "xlingual.transfer",
)
_runs = multiprocessing.get_context("forkserver")
_runs.set_forkserver_preload(list(_IMPORTED))


def run_recipe(recipe: str, flags: list[str], *, output_dir: Path) -> dict | None:
    """Run a recipe and read its results; None if it failed, with the end of its log on stderr.

    Args:
        recipe: Its name.
        flags: All its flags but the output folder.
        output_dir: Where the run writes; ``seconds.json`` is written there beside its results.
    """
    command = [str(RECIPES / f"{recipe}.py"), f"--output_dir={output_dir}", *flags]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        began = time.perf_counter()
        process = _runs.Process(target=_run, args=(command, log))
        process.start()
        process.join()
        if process.exitcode:
            said = log.read_text(encoding="utf-8", errors="replace")
            sys.stderr.write(f"{' '.join(command)}\n{said[-3000:]}\n")
            return None
    seconds = {"seconds": round(time.perf_counter() - began, 1)}
    (output_dir / "seconds.json").write_text(json.dumps(seconds), encoding="utf-8")
    return finished(output_dir)


def finished(folder: Path) -> dict | None:
    """The results of a finished run, with its seconds."""
    try:
        seconds = json.loads((folder / "seconds.json").read_text(encoding="utf-8"))
        found = json.loads((folder / "all_results.json").read_text(encoding="utf-8"))
    except OSError:
        return None
    return {**found, **seconds}


def _run(command: list[str], log: Path) -> None:
    with log.open("wb") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    sys.argv = command
    runpy.run_path(command[0], run_name="__main__")
