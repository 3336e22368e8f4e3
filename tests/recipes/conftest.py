"""Small files to train on, and a recipe in this process."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from datasets import Dataset

from tests.conftest import labelled_rows
from tests.recipes.commands import QUICK, Files, write_rows
from xlingual import cli


@pytest.fixture
def files(tmp_path, english, chinese) -> Files:
    """48 English rows, 12 Chinese ones to train on and 13, an odd number, to test on."""
    folder = tmp_path / "data"
    folder.mkdir()
    tested = [{**row, "text": row["text"] + "真的。"} for row in chinese]
    tested.append({"text": "房间很脏，早餐不错。", "label": "Negative"})
    translated = {"positive": "好评", "negative": "差评"}
    return Files(
        folder=folder,
        en=write_rows(folder / "en.jsonl", english),
        zh=write_rows(folder / "zh.jsonl", chinese),
        zh_test=write_rows(folder / "zh_test.jsonl", tested),
        zh_other=write_rows(
            folder / "zh_other.jsonl",
            [{**row, "label": translated[row["label"]]} for row in chinese],
        ),
    )


@contextmanager
def logging_as_before() -> Iterator[None]:
    """A recipe sets up the package's logger; afterwards it is as it was."""
    logger = logging.getLogger("xlingual")
    handlers, propagate, level = logger.handlers, logger.propagate, logger.level
    try:
        yield
    finally:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    with logging_as_before():
        yield


@pytest.fixture(scope="session")
def zero_shot_model(tmp_path_factory, encoder) -> Path:
    """The result of ``zero_shot`` on the English rows, for tests that only read it."""
    folder = tmp_path_factory.mktemp("zero-shot")
    rows = Dataset.from_dict(labelled_rows(0, 4))
    source = write_rows(folder / "en.jsonl", rows)
    flags = (f"--model_name_or_path={encoder}", *QUICK, f"--source_train={source}")
    with logging_as_before():
        cli.main(["zero_shot", *flags, f"--output_dir={folder / 'model'}"])
    return folder / "model"


@pytest.fixture
def run(encoder) -> Callable[..., None]:
    """``xlingual RECIPE ...`` in this process, on the tiny encoder."""

    def start(name: str, *flags: str) -> None:
        cli.main([name, f"--model_name_or_path={encoder}", *QUICK, *flags])

    return start


@pytest.fixture
def encoder_with_dropout(encoders, tmp_path) -> str:
    """The tiny BERT with dropout: its weights depend on the state of the random generator."""
    folder: Path = tmp_path / "bert-with-dropout"
    shutil.copytree(encoders["bert"], folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}
    (folder / "config.json").write_text(json.dumps(config))
    return str(folder)
