"""A run that was killed and resumed ends with the weights of one that was not, bit for bit."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.recipes.commands import QUICK, RECIPES, python, results_of, warm_python
from xlingual import TransferArguments
from xlingual.training.output_dir import prepare_output_dir

KILLED = Path(__file__).parent / "killed.py"
SEVERAL_EPOCHS = (  # 44 rows are left after the validation rows: 6 steps an epoch
    "--max_steps=-1",
    "--num_train_epochs=3",
    "--save_strategy=steps",
    "--save_steps=4",
    "--learning_rate=3e-3",
)


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    files = [*folder.glob("model.safetensors"), *folder.glob("adapter_model.safetensors")]
    assert files
    return {
        f"{file.name}:{name}": tensor for file in files for name, tensor in load_file(file).items()
    }


def same_bits(one: Path, other: Path) -> bool:
    weights, others = weights_of(one), weights_of(other)
    return weights.keys() == others.keys() and all(
        torch.equal(tensor, others[name]) for name, tensor in weights.items()
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "num_steps", "flags"),
    [
        ("zero_shot", 18, []),
        ("zero_shot", 18, ["--adapter=lora", "--adapter_dropout=0.1", "--selection=source_dev"]),
        ("zero_shot", 18, ["--r_drop_weight=1"]),
        # 18 steps of the zero-shot model; then 33 in which half of a batch of 8 is from the source.
        ("few_shot", 51, ["--shots_per_label=4"]),
    ],
    ids=["full", "lora", "r-drop", "few-shot"],
)
def test_killed_and_resumed_is_uninterrupted(
    tmp_path, run, files, encoder_with_dropout, recipe, num_steps, flags
):
    flags = [
        f"--model_name_or_path={encoder_with_dropout}",
        *QUICK,
        *SEVERAL_EPOCHS,
        *files.flags("source_train", "target_train", "target_test"),
        *flags,
    ]
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    run(recipe, *flags, f"--output_dir={straight}")
    step = random.SystemRandom().randint(2, num_steps)
    killed = python(
        str(KILLED), str(step), str(RECIPES / f"{recipe}.py"), *flags, f"--output_dir={resumed}",
        cwd=tmp_path, executable=warm_python(),
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (resumed / "all_results.json").exists()
    run(recipe, *flags, f"--output_dir={resumed}", "--resume_from_checkpoint=true")
    assert same_bits(straight, resumed), f"killed at step {step}"
    ends = results_of(straight), results_of(resumed)
    scores = [{k: v for k, v in end.items() if k.startswith("eval_")} for end in ends]
    assert scores[0] == scores[1]


def test_dropout_makes_the_generator_matter(tmp_path, run, files, encoder_with_dropout):
    """The test above would say nothing if the run did not draw random numbers."""
    ends = []
    for dropout in ("0.0", "0.1"):
        out = tmp_path / dropout
        run("zero_shot", *files.flags("source_train"), "--adapter=lora", f"--output_dir={out}",
            f"--adapter_dropout={dropout}", f"--target_test={files.zh_test}")  # fmt: skip
        ends.append(out)
    assert not same_bits(*ends)


def checkpoint(folder: Path, step: int, state: str | None) -> Path:
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "model.safetensors").write_bytes(b"")
    if state is not None:
        (path / "trainer_state.json").write_text(state)
    return path


@pytest.mark.parametrize("state", [None, "", '{"global_st'])
def test_a_checkpoint_that_was_being_written_is_passed_over(tmp_path, state):
    whole = checkpoint(tmp_path, 4, '{"global_step": 4}')
    checkpoint(tmp_path, 8, state)
    args = TransferArguments(output_dir=str(tmp_path), resume_from_checkpoint="true")
    assert prepare_output_dir(args) == str(whole)


def test_a_run_killed_before_its_first_checkpoint_begins_anew(tmp_path):
    checkpoint(tmp_path, 4, None)
    args = TransferArguments(output_dir=str(tmp_path), resume_from_checkpoint="true")
    assert prepare_output_dir(args) is None
