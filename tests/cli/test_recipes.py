"""Recipes as programs; the recipes themselves are tested in tests/recipes."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator

import pytest

from xlingual import DataArguments, ModelArguments, TransferArguments, ZeroShotArguments, run_recipe
from xlingual.cli.recipes import argument_types, parse_recipe
from xlingual.config.pretraining import PretrainEncoderArguments
from xlingual.errors import ConfigError, LabelSpaceError, OutputError

DEFAULTS: dict[str, object] = {}


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """``run_recipe`` sets up logging for a whole process; a test must not."""
    for name in ("HF_HUB_DISABLE_PROGRESS_BARS", "TRANSFORMERS_VERBOSITY"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    package = logging.getLogger("xlingual")
    before = (package.handlers, package.propagate, package.level)
    yield
    package.handlers, package.propagate, level = before
    package.setLevel(level)


def typed(model_args: ModelArguments, data_args: xl.DataArguments) -> xl.TransferReport:  # noqa: F821
    """A recipe that gives back what it was called with."""
    seen.append((model_args, data_args))


seen: list[tuple[ModelArguments, DataArguments]] = []


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    seen.clear()


def test_the_signature_declares_the_flags() -> None:
    assert argument_types(typed) == (ModelArguments, DataArguments)

    def resolved(args) -> None: ...

    resolved.__annotations__["args"] = ZeroShotArguments
    assert argument_types(resolved) == (ZeroShotArguments,)


def test_a_recipe_gets_typed_arguments(monkeypatch) -> None:
    monkeypatch.setitem(DEFAULTS, "model_name_or_path", "org/小模型")
    run_recipe(typed, ("--source_train", "酒店.csv", "--task=pair"))
    ((model_args, data_args),) = seen
    assert data_args == DataArguments(source_train="酒店.csv", task="pair")
    assert model_args.model_name_or_path == "org/小模型", "a default of the recipe's module"


def test_a_flag_wins_over_the_recipes_default(monkeypatch) -> None:
    monkeypatch.setitem(DEFAULTS, "model_name_or_path", "org/小模型")
    run_recipe(typed, ["model_name_or_path=org/大模型"])
    assert seen[0][0].model_name_or_path == "org/大模型"


def trains(args: TransferArguments) -> None: ...


def builds(args: PretrainEncoderArguments) -> None: ...


@pytest.mark.parametrize("recipe", [trains, builds])
def test_the_output_goes_to_a_folder_of_the_files_name(recipe) -> None:
    (args,) = parse_recipe(recipe, ["seed=5"])
    assert (args.output_dir, args.seed) == ("runs/test_recipes", 5)
    (args,) = parse_recipe(recipe, ["output_dir=输出"])
    assert args.output_dir == "输出"


def test_without_arguments_those_of_the_process(monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", ["recipe.py", "source_train=a.csv"])
    run_recipe(typed)
    assert seen[0][1].source_train == "a.csv"


def test_an_unknown_flag_is_one_line(capsys) -> None:
    with pytest.raises(SystemExit) as stopped:
        run_recipe(typed, ["--sourse_train=a.csv"])
    assert stopped.value.code == 2
    assert "did you mean 'source_train'?" in capsys.readouterr().err
    assert seen == []


@pytest.mark.parametrize("argv", [["--help"], ["-h"], ["task=pair", "--help"]])
def test_help_is_the_docstring_and_the_flags(capsys, argv: list[str]) -> None:
    run_recipe(typed, argv)
    said = capsys.readouterr().out
    assert said.startswith("Recipes as programs;")
    for flag in ("--model_name_or_path", "--target_unlabeled", "--label_map"):
        assert flag in said
    assert seen == [], "help runs nothing"


@pytest.mark.parametrize(
    "error", [ConfigError, LabelSpaceError, OutputError], ids=lambda kind: kind.__name__
)
def test_our_errors_are_one_line_and_code_2(capsys, error: type[Exception]) -> None:
    def recipe() -> None:
        raise error("标签不同：\n  'positive'，want 'good'")

    with pytest.raises(SystemExit) as stopped:
        run_recipe(recipe, [])
    assert stopped.value.code == 2
    assert capsys.readouterr().err == "\nerror: 标签不同： 'positive'，want 'good'\n"


def test_an_interruption_says_how_to_go_on(capsys) -> None:
    def recipe() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as stopped:
        run_recipe(recipe, [])
    assert stopped.value.code == 130
    assert "--resume_from_checkpoint true" in capsys.readouterr().err


def test_a_bug_is_not_hidden() -> None:
    def recipe() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_recipe(recipe, [])


@pytest.mark.parametrize(("rank", "is_said"), [(None, True), ("0", True), ("1", False)])
def test_what_is_said_aloud_is_said_once(monkeypatch, capsys, rank: str | None, is_said) -> None:
    monkeypatch.delenv("RANK", raising=False)
    if rank is not None:
        monkeypatch.setenv("RANK", rank)

    def recipe() -> None:
        logging.getLogger("xlingual.data.readers.loading").info("列 '评论' 当作 text")

    for _ in range(2):
        run_recipe(recipe, [])
    said = capsys.readouterr()
    assert said.err == "列 '评论' 当作 text\n" * 2 * is_said
    assert said.out == ""


def test_a_recipe_leaves_its_process_group(tmp_path) -> None:
    from torch import distributed

    def recipe() -> None:
        start = f"file://{tmp_path / 'group'}"
        distributed.init_process_group("gloo", init_method=start, rank=0, world_size=1)

    run_recipe(recipe, [])
    assert not distributed.is_initialized()
