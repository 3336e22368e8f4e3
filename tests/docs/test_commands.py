"""Every command and every Python block of READMEs and pages runs, on small files and few steps."""

from __future__ import annotations

import re
import shlex
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from accelerate.state import AcceleratorState

from tests.docs.blocks import ROOT, Block, all_blocks, write_files
from tests.recipes.conftest import logging_as_before
from xlingual import cli

RECIPES = {path.stem for path in (ROOT / "recipes").glob("*.py")}
QUICK = (
    "--max_steps=2",
    "--overwrite_output=true",
    "--disable_tqdm=true",
    "--precision=fp32",
    "--per_device_train_batch_size=8",
    "--max_length=16",
)
SMALL = {
    "pretrain_encoder": (
        "--steps=2", "--static_steps=2", "--vocab_size=100", "--dim=16", "--num_layers=1",
        "--intermediate_size=32", "--contrast_batch=8", "--prediction_batch=8", "--save_every=2",
        "--precision=no", "--static_start=random",
    ),
    "source_free": (*QUICK, "--num_rounds=1"),
    "unlabeled_target": (*QUICK, "--self_training_rounds=1"),
}  # fmt: skip
BLOCKS = all_blocks()
RUN = [block for block in BLOCKS if block.why_not_run is None]
NOT_RUN = [block for block in BLOCKS if block.why_not_run is not None]


def argv_of(command: str) -> list[str] | None:
    """What ``xlingual`` is told: ``X`` and its flags, however the command starts it."""
    words = shlex.split(re.sub(r"(?:^|\s)#.*", "", command))  # file.json#train is no comment
    if words[:1] == ["xlingual"]:
        return words[1:]
    for place, word in enumerate(words):
        if re.fullmatch(r"recipes/\w+\.py", word):
            return [Path(word).stem, *words[place + 1 :]]
    return None


@pytest.mark.slow
def test_the_blocks_run(tmp_path, monkeypatch, encoders) -> None:
    write_files(tmp_path)
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    monkeypatch.chdir(tmp_path)
    namespaces: dict[Path, dict[str, object]] = {}
    for block in RUN:
        try:
            with logging_as_before():
                run_block(block, namespaces.setdefault(block.page, {}), encoders)
        except (Exception, SystemExit) as error:
            raise AssertionError(f"{block}: {block.code}") from error


def run_block(block: Block, names: dict[str, object], encoders: dict[str, Path]) -> None:
    """Run a block, in two steps, on small models where the page does not name one of its own."""
    if block.language == "python":
        code = block.code.replace("TransferArguments(", "TransferArguments(max_steps=2, ")
        exec(compile(code, str(block), "exec"), names)
        return
    for command in block.commands():
        run(offline(command, encoders), encoder=str(encoders["modernbert"]))


def offline(command: str, encoders: dict[str, Path]) -> str:
    """A command with a tiny model in place of one that is downloaded."""
    for name in ("FacebookAI/xlm-roberta-base", "pypi:multilingual-e5-small"):
        command = command.replace(name, str(encoders["xlm-r"]))
    return command


def run(command: str, *, encoder: str) -> None:
    """Run a command in this process, cut down to two steps of a tiny encoder."""
    argv = argv_of(command)
    assert argv is not None, f"only commands of xlingual are run; mark it as not run: {command}"
    name = argv[0]
    extra = SMALL.get(name, QUICK) if name in RECIPES else ()
    AcceleratorState._reset_state(reset_partial_state=True)  # as in a process of its own
    if name in RECIPES - {"pretrain_encoder"} and "--model_name_or_path" not in argv:
        extra = (*extra, f"--model_name_or_path={encoder}")
    cli.main([*argv, *extra])


@pytest.mark.parametrize("block", NOT_RUN, ids=str)
def test_a_block_that_is_not_run_is_well_formed(block: Block, capsys) -> None:
    assert block.language == "bash"
    checked = subprocess.run(["bash", "-n"], input=block.code, text=True, check=False)
    assert checked.returncode == 0
    for command in block.commands():
        argv = argv_of(command.split("&&")[-1])
        if argv:
            check_flags(argv, capsys)


def check_flags(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The program is there and its help names every flag of the command."""
    name, *rest = argv
    capsys.readouterr()
    with suppress(SystemExit):  # the end of a parser's help
        cli.main([name, "--help_all" if name in RECIPES else "--help"])
    said = capsys.readouterr().out
    flags = {word.split("=")[0] for word in rest if word.startswith("--")}
    assert sorted(flag for flag in flags - {"--accelerate_config"} if flag not in said) == []


@pytest.mark.parametrize(
    ("command", "argv"),
    [
        ("xlingual predict m in.jsonl out.jsonl", ["predict", "m", "in.jsonl", "out.jsonl"]),
        ("python recipes/joint.py seed=1", ["joint", "seed=1"]),
        ("accelerate launch recipes/joint.py --seed 1", ["joint", "--seed", "1"]),
        ("xlingual env file.json#train  # all", ["env", "file.json#train"]),
        ("curl 127.0.0.1:8080", None),
    ],
)
def test_what_a_command_starts(command: str, argv: list[str] | None) -> None:
    assert argv_of(command) == argv
