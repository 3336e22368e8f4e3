"""The flags of a run without transformers, and the dataclasses of flags that stay light."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from xlingual.config.training import TransferArguments
from xlingual.config.transfer_options import TransferOptions
from xlingual.errors import ConfigError

ROOT = Path(__file__).parents[2]


def test_the_whole_has_the_defaults_of_its_light_half() -> None:
    whole = {field.name: field.default for field in dataclasses.fields(TransferArguments)}
    half = {field.name: field.default for field in dataclasses.fields(TransferOptions)}
    assert {name: whole[name] for name in half} == half


def test_every_option_has_a_line_of_help() -> None:
    fields = dataclasses.fields(TransferOptions)
    assert [field.name for field in fields if len(field.metadata["help"]) <= 10] == []


def test_it_checks_itself_without_transformers() -> None:
    with pytest.raises(ConfigError, match=r"--adapter takes .*; got 'x'; --layer_decay"):
        TransferOptions(adapter="x", layer_decay=2.0)


def test_the_config_room_loads_no_torch_but_for_training() -> None:
    heavy = {"training.py", "precision.py", "optimizers.py"}
    room = ROOT / "xlingual" / "config"
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in room.rglob("[!_]*.py")
        if path.name not in heavy
    ]
    check = f"""
import importlib, sys
for name in {modules}:
    importlib.import_module(name)
assert not {{"torch", "transformers"}} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", check], check=True, capture_output=True, cwd=ROOT)
