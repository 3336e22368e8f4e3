"""The commands a user types: help, env, and the three ways to start a recipe."""

from __future__ import annotations

import sys
import time

import pytest
import yaml

from tests.recipes.commands import QUICK, RECIPES, launch, python, results_of
from xlingual import cli

NAMES = ("zero_shot", "few_shot", "joint")


@pytest.mark.parametrize("name", NAMES)
def test_help_shows_the_command_and_the_flags(name, capsys):
    cli.main([name, "--help"])
    said = capsys.readouterr().out
    command = f"accelerate launch recipes/{name}.py \\\n"
    assert command in said, "the command can be pasted"
    for flag in ("--source_train", "--target_test", "--text_column", "--output_dir", "--adapter"):
        assert flag in said
    assert all(len(line) <= 140 for line in said.splitlines())


def test_help_of_few_shot_shows_its_own_flags(capsys):
    cli.main(["few_shot", "--help"])
    said = capsys.readouterr().out
    assert "--shots_per_label" in said
    assert "--regime" in said


@pytest.mark.slow
def test_help_answers_before_torch_could_be_imported(tmp_path):
    started = time.perf_counter()
    helped = python(str(RECIPES / "zero_shot.py"), "--help", cwd=tmp_path)
    seconds = time.perf_counter() - started
    started = time.perf_counter()
    python("-c", "import torch", cwd=tmp_path)
    with_torch = time.perf_counter() - started
    assert "--source_train" in helped.stdout
    assert seconds < 0.5 * with_torch
    check = (
        "import sys, xlingual.cli as c; c.main(['joint', '-h']); assert 'torch' not in sys.modules"
    )
    assert python("-c", check, cwd=tmp_path).returncode == 0


def test_help_all_lists_every_flag(capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["few_shot", "--help_all"])
    assert stopped.value.code in (0, None)
    said = capsys.readouterr().out
    for flag in ("--shots_per_label", "--lr_scheduler_type", "--layer_decay", "--label_map"):
        assert flag in said


def test_the_command_without_a_recipe_lists_them(capsys):
    cli.main([])
    said = capsys.readouterr().out
    assert "usage: xlingual RECIPE" in said
    assert all(f"  {name} " in said for name in (*NAMES, "env"))


def test_env_says_what_a_bug_report_needs_and_no_secret(capsys, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    cli.main(["env"])
    said = capsys.readouterr().out
    assert f"- python: {sys.version.split()[0]}" in said
    for name in ("xlingual", "torch", "transformers", "accelerate", "peft", "datasets", "platform"):
        assert f"- {name}: " in said
    assert "- HF_HUB_OFFLINE: 1" in said
    assert "- HF_TOKEN: set" in said
    assert "hf_secret" not in said
    assert "- bfloat16: " in said


@pytest.mark.slow
def test_the_same_run_by_python_by_the_command_and_by_accelerate(
    tmp_path, encoder, capsys, monkeypatch
):
    """Started in a folder that is not the checkout; one model, and the same figures."""
    flags = [f"--model_name_or_path={encoder}", *QUICK, "--output_dir"]
    one_thread = {"OMP_NUM_THREADS": "1"}  # sums in another order differ in the last digit
    script = str(RECIPES / "zero_shot.py")
    runs = {
        "python": python(script, *flags, "python", cwd=tmp_path, **one_thread),
        "accelerate": launch("cpu", script, *flags, "accelerate", cwd=tmp_path, **one_thread),
    }
    assert [finished.returncode for finished in runs.values()] == [0, 0], runs
    said = {name: finished.stdout for name, finished in runs.items()}
    monkeypatch.chdir(tmp_path)
    cli.main(["zero_shot", *flags, "command"])
    said["command"] = capsys.readouterr().out
    weights, results = [], []
    for name, printed in said.items():
        assert "transfer gap" in printed
        assert f"saved: {name}" in printed
        weights.append((tmp_path / name / "model.safetensors").read_bytes())
        results.append(results_of(tmp_path / name)["eval_zh_accuracy"])
    assert weights[0] == weights[1] == weights[2]
    assert results[0] == results[1] == results[2]


@pytest.mark.slow
def test_an_error_in_a_new_process_is_one_line_and_code_2(tmp_path):
    script = str(RECIPES / "joint.py")
    finished = python(script, "--source_train=nowhere.csv", "--target_train=x.csv", cwd=tmp_path)
    assert finished.returncode == 2
    assert finished.stderr.count("error:") == 1
    assert "Traceback" not in finished.stderr
    assert not list(tmp_path.glob("**/*.*"))


@pytest.mark.parametrize("name", NAMES)
def test_a_config_is_headed_by_its_command_and_holds_flags_only(name, tmp_path, monkeypatch):
    from xlingual import (
        DataArguments,
        FewShotArguments,
        ModelArguments,
        TransferArguments,
        parse_arguments,
    )

    monkeypatch.chdir(tmp_path)
    path = RECIPES / "configs" / f"{name}.yaml"
    text = path.read_text(encoding="utf-8")
    head = "".join(line for line in text.splitlines(keepends=True)[:4] if line.startswith("#"))
    assert f"xlingual {name} --config recipes/configs/{name}.yaml" in head
    kinds = [ModelArguments, DataArguments, TransferArguments]
    if name == "few_shot":
        kinds.append(FewShotArguments)
    parsed = parse_arguments([f"--config={path}"], *kinds)
    values = yaml.safe_load(text)
    found = {key: value for part in parsed for key, value in vars(part).items()}
    assert {key: found[key] for key in values} == values
    # The lines that are commented out are flags as well.
    flags = [line[2:] for line in text.splitlines() if line.startswith("# ") and ": " in line]
    optional = yaml.safe_load("\n".join(line for line in flags if line.split(":")[0].islower()))
    assert optional["source_train"]
    assert set(optional) <= set(found)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_config_runs(name, run, tmp_path):
    path = RECIPES / "configs" / f"{name}.yaml"
    run(name, f"--config={path}", f"--output_dir={tmp_path}/out", "max_train_rows=40")
    assert results_of(tmp_path / "out")["eval_zh_rows"] == 300


@pytest.mark.parametrize(
    "path", sorted((RECIPES / "accelerate").glob("*.yaml")), ids=lambda p: p.stem
)
def test_accelerate_takes_the_configs_that_are_shipped(path):
    from accelerate.commands.config.config_args import load_config_from_file

    loaded = load_config_from_file(str(path))
    assert loaded.num_machines == 1
    # Otherwise accelerate would turn bfloat16 on where --precision fp32 was asked for.
    assert loaded.mixed_precision == "no"
    assert f"accelerate launch --config_file recipes/accelerate/{path.name}" in path.read_text()
