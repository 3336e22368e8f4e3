"""Two real processes give what one gives, go on after a crash, and complain with one voice."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.conftest import NEGATIVE, POSITIVE
from tests.recipes.commands import (
    QUICK,
    RECIPES,
    launch,
    python,
    read_rows,
    results_of,
    warm_python,
    write_rows,
)
from xlingual import cli

pytestmark = pytest.mark.slow

KILLED = Path(__file__).parents[1] / "recipes" / "killed.py"
NUM_STEPS = 16  # 72 rows of which 8 are held out, two processes with 4 rows each, two epochs


def data_files(folder: Path) -> list[str]:
    """English rows to train on, and Chinese ones to test on: 13, which two cannot share evenly."""
    english, chinese = (
        [{"text": pair[side], "label": "good"} for pair in POSITIVE]
        + [{"text": pair[side], "label": "bad"} for pair in NEGATIVE]
        for side in (0, 1)
    )
    tested = [*chinese, {"text": "前台热情，房间很脏。", "label": "bad"}]
    return [
        f"--source_train={write_rows(folder / 'en.jsonl', english * 6)}",
        f"--target_test={write_rows(folder / 'zh.jsonl', tested)}",
    ]


def flags(encoder: str, out: Path, *more: str) -> list[str]:
    return [
        *data_files(out.parent),
        f"--model_name_or_path={encoder}",
        *QUICK,
        "--max_steps=-1",
        "--num_train_epochs=2",
        "--per_device_train_batch_size=4",
        "--learning_rate=3e-3",
        "--save_strategy=steps",
        "--save_steps=3",
        f"--output_dir={out}",
        *more,
    ]


@pytest.fixture(scope="module")
def two(tmp_path_factory, encoder) -> Path:
    """The folder of a run by accelerate in two processes, with the config that is shipped."""
    out = tmp_path_factory.mktemp("two") / "out"
    recipe = str(RECIPES / "zero_shot.py")
    finished = launch("ddp_cpu", recipe, *flags(encoder, out), cwd=out.parent)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.count("transfer gap") == 1, "one process speaks for all"
    return out


def assert_close(folder: Path, weights: dict[str, torch.Tensor], **tolerance: float) -> None:
    saved = load_file(folder / "model.safetensors")
    assert saved.keys() <= weights.keys()
    for name, tensor in saved.items():
        torch.testing.assert_close(tensor, weights[name], msg=name, **tolerance)


def test_the_shipped_config_starts_two(two):
    states = {path.name for path in two.glob(f"checkpoint-{NUM_STEPS}/rng_state*")}
    assert states == {"rng_state_0.pth", "rng_state_1.pth"}, "one state a process"


def test_two_processes_give_the_metrics_of_one(two, tmp_path, encoder):
    out = tmp_path / "one"
    cli.main(["zero_shot", *flags(encoder, out, "--gradient_accumulation_steps=2")])
    assert [path.name for path in out.glob(f"checkpoint-{NUM_STEPS}/rng_state*")] == [
        "rng_state.pth"
    ]
    one_results, two_results = results_of(out), results_of(two)
    costs = {"train_runtime", "train_samples_per_second", "peak_memory_mib"}
    for key in one_results.keys() - costs:
        assert two_results[key] == one_results[key], key
    assert one_results["eval_en_accuracy"] > 0.6, "so little was learnt that all would agree"
    for name in ("en", "zh"):
        one_rows, two_rows = (read_rows(run / f"predictions_{name}.jsonl") for run in (out, two))
        assert [row["text"] for row in one_rows] == [row["text"] for row in two_rows]
        probs = [[row["probabilities"]["good"] for row in rows] for rows in (one_rows, two_rows)]
        np.testing.assert_allclose(*probs, atol=1e-4)
    weights = load_file(out / "model.safetensors")
    assert_close(two, weights, atol=1e-4, rtol=1e-3)


def test_two_processes_killed_and_resumed_end_as_if_they_had_not_been(two, tmp_path, encoder):
    out = tmp_path / "out"
    recipe = str(RECIPES / "zero_shot.py")
    step = random.SystemRandom().randint(4, NUM_STEPS)
    started = {"cwd": tmp_path, "executable": warm_python()}
    killed = launch("ddp_cpu", str(KILLED), str(step), recipe, *flags(encoder, out), **started)
    assert "SIGKILL" in killed.stderr
    assert not (out / "all_results.json").exists()
    again = flags(encoder, out, "--resume_from_checkpoint=true")
    resumed = launch("ddp_cpu", recipe, *again, **started)
    assert resumed.returncode == 0, resumed.stderr
    weights = load_file(two / "model.safetensors")
    assert_close(out, weights, atol=0, rtol=0)


def test_an_error_in_two_processes_is_one_line_and_code_2(tmp_path):
    finished = python(
        "-m", "xlingual.cli", "zero_shot", "--accelerate_config=ddp_cpu", "--adapter=lroa",
        cwd=tmp_path, OMP_NUM_THREADS="1",  # else accelerate says how many threads it took
    )  # fmt: skip
    assert finished.returncode == 2
    lines = finished.stderr.strip().splitlines()
    assert lines == ["error: --adapter takes none, lora, dora, ia3; got 'lroa'"]
    assert not list(tmp_path.iterdir())
