"""The ``xlingual`` command: its list, versions, the environment, and accelerate."""

from __future__ import annotations

import subprocess
from argparse import Namespace
from importlib import metadata

import pytest

from xlingual import cli


def test_the_list_of_recipes_has_their_first_lines(capsys) -> None:
    cli.main(["--help"])
    said = capsys.readouterr().out
    assert "  zero_shot          English labels only: train on the source" in said
    assert said.startswith("usage: xlingual RECIPE")


def test_version(capsys, monkeypatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda package: f"9.9 of {package}")
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == "xlingual 9.9 of xlingual\n"


def test_an_unknown_recipe(capsys) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["zero_shots"])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert "no recipe or command 'zero_shots'; did you mean 'zero_shot'? known: " in error
    assert all(f" {name}," in error for name in ("few_shot", "zero_shot", "predict", "push"))


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["predict", "模型"], "error: the following arguments are required: input, output; "),
        (["trim", "模型", "out", "--langages", "zh"], "error: unknown: --langages zh; "),
        (["push", "a", "b/c", "--hub", "gitee"], "invalid choice: 'gitee'"),
    ],
)
def test_a_wrong_flag_of_a_command_is_one_line(capsys, argv: list[str], words: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(argv)
    assert stopped.value.code == 2
    error = capsys.readouterr().err.strip()
    assert words in error
    assert f"xlingual {argv[0]} --help lists the flags" in error
    assert "\n" not in error


def test_environment_without_some_packages(monkeypatch) -> None:
    def version(package: str) -> str:
        if package in ("peft", "xlingual"):
            raise metadata.PackageNotFoundError(package)
        return "1.0"

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example")
    monkeypatch.delenv("HF_HOME", raising=False)
    found = cli.environment()
    assert found["peft"] == "not installed"
    assert found["torch"] == "1.0"
    assert found["xlingual"]
    assert found["HF_ENDPOINT"] == "https://mirror.example"
    assert (found["HF_TOKEN"], found["HF_HOME"]) == ("set", "unset")
    assert "hf_secret" not in str(found)


@pytest.fixture
def launched(monkeypatch) -> list[Namespace]:
    """The arguments that accelerate would launch with."""
    commands: list[Namespace] = []
    monkeypatch.setattr("accelerate.commands.launch.launch_command", commands.append)
    return commands


@pytest.mark.parametrize("joined", [True, False])
def test_accelerate_config_by_file(tmp_path, launched, joined: bool) -> None:
    path = tmp_path / "两卡.yaml"
    path.write_text("distributed_type: MULTI_GPU\n", encoding="utf-8")
    flag = [f"--accelerate_config={path}"] if joined else ["--accelerate_config", str(path)]
    cli.main(["joint", "seed=3", *flag, "--adapter", "lora"])
    (command,) = launched
    assert command.config_file == str(path)
    assert command.training_script.endswith("joint.py")
    assert command.training_script_args == ["seed=3", "--adapter", "lora"]


@pytest.mark.parametrize(
    ("failed", "code", "words"),
    [
        (2, 2, ""),  # the recipe has said why
        (1, 1, "error: a process of the run ended with exit code 1"),
        (-9, 137, "exit code -9"),  # killed, as a shell says it
    ],
)
def test_what_was_launched_fails(monkeypatch, tmp_path, capsys, failed, code, words) -> None:
    def launch(arguments: Namespace) -> None:
        raise subprocess.CalledProcessError(failed, "python")

    monkeypatch.setattr("accelerate.commands.launch.launch_command", launch)
    path = tmp_path / "cpu.yaml"
    path.write_text("distributed_type: 'NO'\n", encoding="utf-8")
    with pytest.raises(SystemExit) as stopped:
        cli.main(["joint", f"--accelerate_config={path}"])
    assert stopped.value.code == code
    said = capsys.readouterr().err
    assert words in said
    assert bool(words) == bool(said)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--accelerate_config"], "needs the name of a shipped config, or a file"),
        (
            ["--accelerate_config", "没有"],
            "--accelerate_config 没有: no such file; shipped configs: ",
        ),
    ],
)
def test_accelerate_config_that_is_not_there(capsys, launched, flags, words: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["joint", *flags])
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err
    assert launched == []
