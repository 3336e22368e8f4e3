"""``RECIPE --help``: every flag with its default, at once, and no line too long for a terminal."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from xlingual import cli
from xlingual.cli.catalogue import recipes
from xlingual.cli.help import declared_types, recipe_help
from xlingual.config.methods import FewShotArguments
from xlingual.config.options import DataArguments, option
from xlingual.config.transfer_options import TransferOptions

ROOT = Path(__file__).parents[2]


@dataclass
class Mine:
    """Making tea."""

    minutes: float = option(3.0, "Minutes that it draws, at 100% of the heat.")
    names: list[str] | None = option(None, "Kinds of tea: 龙井, 普洱.")
    has_milk: bool = option(False, "Milk.")


def test_flags_have_types_help_and_defaults() -> None:
    said = recipe_help("Tea.\n\n    make tea\n", [Mine])
    assert said.startswith("Tea.\n\n    make tea\n\nMaking tea:\n")
    words = " ".join(said.split())
    assert "--minutes X Minutes that it draws, at 100% of the heat. (default: 3)" in words
    assert "--names TEXT ... Kinds of tea: 龙井, 普洱. --has_milk" in words, "None is no default"
    assert "--has_milk BOOL Milk. (default: false)" in words
    assert "--help_all" not in said


def test_a_recipe_has_defaults_of_its_own() -> None:
    assert "(default: 5)" in recipe_help("", [Mine], defaults={"minutes": 5.0})


def test_public_names_stand_for_their_dataclasses() -> None:
    said = recipe_help("", ["FewShotArguments", "TransferArguments"])
    flags = [field.name for kind in (FewShotArguments, TransferOptions) for field in fields(kind)]
    assert [name for name in flags if f"  --{name} " not in said] == []
    assert "--help_all also lists" in " ".join(said.split())


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_it_fits_the_terminal(monkeypatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = "a long description " * 20
    said = recipe_help(text, [DataArguments, TransferOptions])
    assert max(map(len, said.splitlines())) <= min(columns, 80)


def test_a_shared_field_is_shown_once() -> None:
    said = recipe_help("", [Mine, Mine])
    assert said.count("--minutes") == 1


def test_types_are_read_from_the_signature_of_main(tmp_path) -> None:
    path = tmp_path / "recipe.py"
    path.write_text(
        "def main(data_args: DataArguments, shots: xl.FewShotArguments, args: TransferArguments):"
        "\n    raise AssertionError\n"
    )
    assert declared_types(path) == [DataArguments, FewShotArguments, TransferOptions]


@pytest.mark.parametrize("name", recipes())
def test_every_flag_of_every_recipe_is_shown(capsys, name: str) -> None:
    types = declared_types(recipes()[name])
    if not types:
        pytest.skip("its main does not declare its flags")
    cli.main([name, "--help"])
    said = capsys.readouterr().out
    flags = [field.name for kind in types for field in fields(kind)]
    assert [flag for flag in flags if f"  --{flag} " not in said] == []


@pytest.mark.slow
def test_help_and_completion_load_neither_torch_nor_transformers() -> None:
    check = """
import sys
from xlingual.cli import main
from xlingual.cli.command_line import make_parser
from xlingual.cli.help import recipe_help
recipe_help("", ["ModelArguments", "DataArguments", "MethodArguments", "TransferArguments"])
make_parser(for_completion=True)
main(["zero_shot", "--help"])
assert not {"torch", "transformers", "datasets"} & sys.modules.keys(), "too much is imported"
"""
    subprocess.run([sys.executable, "-c", check], check=True, capture_output=True, cwd=ROOT)
