"""What ``import xlingual`` promises: sorted names, docstrings, and that it is light."""

from __future__ import annotations

import ast
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
    "data.cleaning",
    "data.corpus",
    "data.sources",
    "evaluation.transfer",
    "labels",
    "languages",
    "parsing",
    "transfer.few_shot",
)


def is_sorted(names: list[str]) -> bool:
    """The order that ruff (RUF022) keeps: constants, then classes, then functions."""

    def key(name: str) -> tuple[int, str]:
        return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)

    return names == sorted(names, key=key)


def typed_imports() -> dict[str, str]:
    """Name -> module, of the imports under ``if TYPE_CHECKING``."""
    tree = ast.parse(Path(xlingual.__file__).read_text(encoding="utf-8"))
    (block,) = (
        node for node in tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node)
    )
    return {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_the_three_lists_of_names_agree() -> None:
    assert is_sorted(xlingual.__all__)
    assert set(xlingual.__all__) == set(xlingual._HOMES)
    assert typed_imports() == {name: f"xlingual.{home}" for name, home in xlingual._HOMES.items()}


@pytest.mark.parametrize("name", xlingual.__all__)
def test_every_name_is_there_and_explained(name: str) -> None:
    value = getattr(xlingual, name)
    assert name in dir(xlingual)
    doc = inspect.getdoc(value) or ""
    assert len(doc) > 20
    assert not doc.startswith(f"{name}("), "the docstring that Python makes of a class is none"


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
