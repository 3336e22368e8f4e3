"""The ways to start a recipe, and the small files that it reads."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "recipes"

QUICK = (
    "--max_steps=2",
    "--per_device_train_batch_size=8",
    "--precision=fp32",
    "--freeze_embeddings=false",
    "--disable_tqdm=true",
)
"""Two steps of a tiny model; float32, so that one machine's results are another's."""

Finished = subprocess.CompletedProcess[str]


@cache
def warm_python() -> str:
    """An executable that runs programs as Python does, forked from one that has its imports."""
    folder = tempfile.TemporaryDirectory(prefix="warm")
    path, program = Path(folder.name) / "python", str(ROOT / "tests" / "warm_python.py")
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -IS "{program}" run "{path}" "$@"\n')
    path.chmod(0o755)
    server = subprocess.Popen(
        [sys.executable, program, "serve", str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"
    atexit.register(folder.cleanup)
    atexit.register(server.kill)
    return str(path)


def python(
    *command: str, cwd: Path, executable: str = sys.executable, **environment: str
) -> Finished:
    """A new Python process that finds this checkout's package."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        [executable, *command],
        cwd=cwd,
        env=variables,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def launch(
    config: str, *command: str, cwd: Path, executable: str = sys.executable, **environment: str
) -> Finished:
    """``accelerate launch`` with one of the configs that are shipped."""
    path = str(RECIPES / "accelerate" / f"{config}.yaml")
    module = ("-m", "accelerate.commands.launch", "--quiet", "--config_file", path)
    return python(*module, *command, cwd=cwd, executable=executable, **environment)


def write_rows(path: Path, rows: Iterable[Mapping[str, object]]) -> str:
    """A JSON Lines file; its path as a flag takes it."""
    lines = [json.dumps(dict(row), ensure_ascii=False) + "\n" for row in rows]
    path.write_text("".join(lines), encoding="utf-8")
    return str(path)


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def results_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "all_results.json").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Files:
    """A user's files: labelled English, labelled Chinese, and Chinese with labels of its own."""

    folder: Path
    en: str
    zh: str
    zh_test: str
    zh_other: str

    def flags(self, *roles: str) -> list[str]:
        paths = {"source_train": self.en, "target_train": self.zh, "target_test": self.zh_test}
        return [f"--{role}={paths[role]}" for role in roles]
