"""What ``import xlingual`` promises: sorted names, docstrings, and that it is light."""

from __future__ import annotations

import doctest
import importlib
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import xlingual

ROOT = Path(__file__).parents[1]
PACKAGES = ("data", "evaluation", "transfer")
DOCUMENTED = (
    "config.parsing",
    "data.corpus",
    "data.readers.cleaning",
    "data.readers.sources",
    "evaluation.gap",
    "labels",
    "languages",
    "transfer.data.few_shot",
)


def is_sorted(names: list[str]) -> bool:
    """The order that ruff (RUF022) keeps: constants, then classes, then functions."""

    def key(name: str) -> tuple[int, str]:
        return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)

    return names == sorted(names, key=key)


def test_every_name_is_there_and_explained() -> None:
    assert {"TransferTrainer", "TransferArguments", "embedded_corpus"} <= set(xlingual.__all__)
    unexplained = []
    for name in xlingual.__all__:
        doc = inspect.getdoc(getattr(xlingual, name)) or ""
        # The docstring that Python makes of a class begins with its name and says nothing.
        if name not in dir(xlingual) or len(doc) <= 20 or doc.startswith(f"{name}("):
            unexplained.append(name)
    assert unexplained == []


def test_star_import_and_unknown_names() -> None:
    names: dict[str, object] = {}
    exec("from xlingual import *", names)
    assert set(xlingual.__all__) <= names.keys()
    with pytest.raises(AttributeError, match="TransferTrainr"):
        _ = xlingual.TransferTrainr


@pytest.mark.parametrize("package", PACKAGES)
def test_subpackages(package: str) -> None:
    module = importlib.import_module(f"xlingual.{package}")
    assert is_sorted(list(module.__all__))
    for name in module.__all__:
        value = getattr(module, name)
        assert not callable(value) or inspect.getdoc(value), name


def test_importing_is_light() -> None:
    program = """
import json, sys, time
begin = time.process_time()
import xlingual
seconds = time.process_time() - begin
names = dir(xlingual)
heavy = {"torch", "transformers", "datasets", "numpy", "pandas", "peft", "evaluate", "sklearn"}
print(json.dumps({"seconds": seconds, "heavy": sorted(heavy & sys.modules.keys())}))
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True
    )
    found = json.loads(done.stdout)
    assert found["heavy"] == []
    assert found["seconds"] < 0.5


@pytest.mark.parametrize("module", DOCUMENTED)
def test_examples_in_docstrings_run(module: str) -> None:
    result = doctest.testmod(importlib.import_module(f"xlingual.{module}"))
    assert result.attempted > 0
    assert result.failed == 0
