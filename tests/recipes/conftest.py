"""Small files to train on, and the three ways to start a recipe."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from xlingual import cli

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "recipes"
QUICK = [
    "--max_steps=2",
    "--per_device_train_batch_size=8",
    "--precision=fp32",
    "--freeze_embeddings=false",
    "--disable_tqdm=true",
]
"""Two steps of the tiny model; float32, so that one machine's results are another's."""


def write_rows(path: Path, rows: Iterable[Mapping[str, object]]) -> str:
    """A JSON Lines file; its path as a flag takes it."""
    lines = [json.dumps(dict(row), ensure_ascii=False) + "\n" for row in rows]
    path.write_text("".join(lines), encoding="utf-8")
    return str(path)


def read_rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@dataclass(frozen=True)
class Files:
    """What a user holds: labelled English, labelled Chinese, and Chinese with its own labels."""

    en: str
    zh: str
    zh_test: str
    zh_other: str

    def flags(self, *roles: str) -> list[str]:
        paths = {"source_train": self.en, "target_train": self.zh, "target_test": self.zh_test}
        return [f"--{role}={paths[role]}" for role in roles]


@pytest.fixture
def files(tmp_path, english, chinese) -> Files:
    """48 English rows, 12 Chinese ones to train on and 13 (an odd number) to test on."""
    folder = tmp_path / "data"
    folder.mkdir()
    translated = {"positive": "好评", "negative": "差评"}
    tested = [{**row, "text": row["text"] + "真的。"} for row in chinese]
    tested.append({"text": "房间很脏，早餐不错。", "label": "Negative"})
    other = [{**row, "label": translated[row["label"]]} for row in chinese]
    return Files(
        en=write_rows(folder / "en.jsonl", english),
        zh=write_rows(folder / "zh.jsonl", chinese),
        zh_test=write_rows(folder / "zh_test.jsonl", tested),
        zh_other=write_rows(folder / "zh_other.jsonl", other),
    )


@pytest.fixture(autouse=True)
def _logging_as_before():
    """A recipe sets up the package's logger; the next test gets it back as it was."""
    logger = logging.getLogger("xlingual")
    before = logger.handlers, logger.propagate, logger.level
    yield
    logger.handlers, logger.propagate, _ = before
    logger.setLevel(before[2])


@pytest.fixture
def run(encoder, monkeypatch) -> Callable[..., None]:
    """``xlingual RECIPE ...`` in this process, on the tiny encoder."""

    def start(name: str, *flags: str) -> None:
        cli.main([name, f"--model_name_or_path={encoder}", *QUICK, *flags])

    monkeypatch.setenv("RANK", "0")  # what the main process says is what is tested
    monkeypatch.delenv("RANK")
    return start


def start(*command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command in a new process that finds this checkout's package."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", **environment}
    return subprocess.run(
        command, cwd=cwd, env=variables, capture_output=True, text=True, timeout=240, check=False
    )


def python(*command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return start(sys.executable, *command, cwd=cwd, **environment)


def launch(config: str, *command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """``accelerate launch`` with one of the configs that are shipped."""
    flags = ["--config_file", str(RECIPES / "accelerate" / f"{config}.yaml"), *command]
    return python("-m", "accelerate.commands.launch", "--quiet", *flags, cwd=cwd)


@pytest.fixture
def encoder_with_dropout(encoders, tmp_path) -> str:
    """The tiny BERT with dropout, whose weights depend on the state of the random generator."""
    folder = tmp_path / "bert-with-dropout"
    shutil.copytree(encoders["bert"], folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}
    (folder / "config.json").write_text(json.dumps(config))
    return str(folder)
