"""Recipes of several stages in two real processes: what one process gives, or a refusal."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.classifiers import save_classifier
from tests.conftest import NEGATIVE, POSITIVE
from tests.recipes.commands import QUICK, RECIPES, launch, python, read_rows, results_of, write_rows
from xlingual import cli

pytestmark = pytest.mark.slow

FLAGS = (*QUICK, "--per_device_train_batch_size=4", "--learning_rate=3e-3")
# At most an epoch of 48 rows: accelerate fills up a last batch that two cannot share evenly.
STEPS, NO_GUARD = "--max_steps=6", "--guard=false"
TEXT, BITEXT = "--target_unlabeled={text}", "--bitext={pairs}"
COSTS = ("runtime", "per_second", "seconds", "memory_mib")


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, str]:
    """48 English rows, 24 Chinese texts, and 13 Chinese rows: an odd number, to test on."""
    folder = tmp_path_factory.mktemp("data")
    english, chinese = (
        [{"text": pair[side], "label": "good"} for pair in POSITIVE]
        + [{"text": pair[side], "label": "bad"} for pair in NEGATIVE]
        for side in (0, 1)
    )
    tested = [*chinese, {"text": "前台热情，房间很脏。", "label": "bad"}]
    return {
        "en": write_rows(folder / "en.jsonl", english * 4),
        "text": write_rows(folder / "text.jsonl", [{"text": row["text"]} for row in chinese * 2]),
        "many": write_rows(folder / "many.jsonl", [{"text": row["text"]} for row in chinese * 25]),
        "zh": write_rows(folder / "zh.jsonl", tested),
        "shots": write_rows(folder / "shots.jsonl", chinese),
        "pairs": write_lines(folder / "pairs.tsv", map("\t".join, POSITIVE + NEGATIVE)),
        "words": write_lines(folder / "words.tsv", ["clean\t干净", "room\t房间", "bed\t床"]),
        "lines": write_lines(folder / "lines.txt", [zh for _, zh in POSITIVE + NEGATIVE] * 4),
    }


def write_lines(path: Path, lines: Iterable[str]) -> str:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)


def in_two(recipe: str, out: Path, *flags: str) -> Path:
    script = str(RECIPES / f"{recipe}.py")
    finished = launch("ddp_cpu", script, *FLAGS, *flags, f"--output_dir={out}", cwd=out.parent)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.count("saved: ") == 1, "one process speaks for all"
    return out


def in_one(recipe: str, out: Path, *flags: str) -> Path:
    """The same batches, two to a step."""
    flags = (*FLAGS, *flags, "--gradient_accumulation_steps=2", f"--output_dir={out}")
    cli.main([recipe, *flags])
    return out


def in_both(recipe: str, folder: Path, *flags: str) -> tuple[Path, Path]:
    return in_one(recipe, folder / "one", *flags), in_two(recipe, folder / "two", *flags)


def assert_same_result(one: Path, two: Path, start: str | Path) -> None:
    weights, others = (load_file(folder / "model.safetensors") for folder in (one, two))
    assert weights.keys() == others.keys()
    for name, tensor in weights.items():
        torch.testing.assert_close(others[name], tensor, atol=1e-4, rtol=1e-3, msg=name)
    before = load_file(Path(start) / "model.safetensors")
    moved = [float((before[n] - weights[n]).abs().max()) for n in weights if n in before]
    assert max(moved) > 1e-3, "so little was learnt that all would agree"
    one_results, two_results = results_of(one), results_of(two)
    assert one_results.keys() == two_results.keys()
    for key in (key for key in one_results if not key.endswith(COSTS)):
        value = two_results[key]
        expected = pytest.approx(value, abs=1e-3) if isinstance(value, float) else value
        assert one_results[key] == expected, key
    for path in one.glob("predictions_*.jsonl"):
        rows = [read_rows(folder / path.name) for folder in (one, two)]
        assert [row["text"] for row in rows[0]] == [row["text"] for row in rows[1]]
        probs = [[list(row["probabilities"].values()) for row in part] for part in rows]
        np.testing.assert_allclose(*probs, atol=1e-3)


def test_zero_shot_with_target_text(files, encoder, tmp_path):
    flags = (
        f"--model_name_or_path={encoder}", "--max_steps=8", "--correct_label_shift=true",
        f"--source_train={files['en']}", f"--source_validation={files['en']}",
        f"--target_unlabeled={files['text']}", f"--target_test={files['zh']}",
    )  # fmt: skip
    one, two = in_both("zero_shot", tmp_path, *flags)
    assert_same_result(one, two, encoder)
    assert {"estimated_zh_accuracy", "label_shift_corrected"} <= results_of(two).keys()


def test_co_training(files, encoder, tmp_path):
    flags = (
        f"--model_name_or_path={encoder}", "--max_steps=8", "--guard=false",
        f"--source_train={files['en']}", f"--source_validation={files['en']}",
        f"--target_unlabeled={files['many']}", f"--target_test={files['zh']}",
    )  # fmt: skip
    one, two = in_both("unlabeled_target", tmp_path, *flags)
    assert_same_result(one, two, encoder)
    assert all((folder / "co_training").is_dir() for folder in (one, two))


@pytest.mark.parametrize(
    ("recipe", "flags"),
    [
        ("zero_shot", [STEPS, "--r_drop_weight=1"]),
        ("unlabeled_target", [STEPS, TEXT, NO_GUARD, "--method=cdan"]),
        ("unlabeled_target",
         [STEPS, TEXT, NO_GUARD, "--method=self_training", "--confidence_threshold=0.01"]),
        ("translate_train", [STEPS, NO_GUARD, "--translations={lines}"]),
        ("translate_train", [STEPS, NO_GUARD, "--dictionary={words}"]),
        ("translate_train", [STEPS, NO_GUARD, BITEXT, "--bitext_threshold=0.01"]),
        ("translate_train", [STEPS, NO_GUARD, BITEXT, "--method=continual_alignment"]),
        ("distill", [STEPS, BITEXT, "--bitext_threshold=0.01", "--teachers={teacher}"]),
        ("few_shot", [STEPS, "--target_train={shots}", "--shots_per_label=4"]),
        ("joint", [STEPS, "--target_train={shots}"]),
        ("frozen_features", ["--target_unlabeled={many}", "--co_training=true"]),
    ],
    ids=[
        "r-drop", "cdan", "self-training", "translations", "code-switching", "bitext-consistency",
        "continual-alignment", "distill", "few-shot", "joint", "frozen-features",
    ],
)  # fmt: skip
def test_every_other_method(files, encoder, tmp_path, recipe, flags):
    teacher = save_classifier(encoder, tmp_path / "teacher", labels=("good", "bad"))
    given = {**files, "teacher": teacher}
    own = [flag.format(**given) for flag in flags]
    one, two = in_both(
        recipe, tmp_path, f"--model_name_or_path={encoder}", f"--target_test={files['zh']}",
        f"--source_train={files['en']}", f"--source_validation={files['en']}", *own,
    )  # fmt: skip
    assert_same_result(one, two, encoder)


def test_continued_pretraining(files, encoder, tmp_path):
    """Masks are drawn by each process, so this is not the run of one: it is whole, and learnt."""
    out = in_two(
        "unlabeled_target", tmp_path / "two", f"--model_name_or_path={encoder}", STEPS, NO_GUARD,
        "--method=continued_pretraining", "--pretraining_epochs=1", TEXT.format(**files),
        f"--source_train={files['en']}", f"--target_test={files['zh']}",
    )  # fmt: skip
    assert results_of(out)["eval_zh_rows"] == 13
    before, between, after = (
        load_file(Path(folder) / "model.safetensors")["model.embeddings.tok_embeddings.weight"]
        for folder in (encoder, out / "continued_pretraining", out)
    )
    assert not torch.equal(before, between)
    assert not torch.equal(between, after)


def test_multi_task_with_learnt_weights(files, encoder, tmp_path):
    flags = (
        f"--model_name_or_path={encoder}", "--max_steps=8", "--loss_weights=uncertainty",
        "--sampling_temperature=2", "--save_strategy=steps", "--save_steps=4",
        f"--source_train=hotel={files['en']},books={files['en']}*0.25",
        f"--source_validation={files['en']}", f"--target_test={files['zh']}",
    )  # fmt: skip
    one, two = in_both("multi_task", tmp_path, *flags)
    assert_same_result(one, two, encoder)
    learnt = [
        load_file(folder / "checkpoint-8" / "transfer_loss.safetensors")["theta"]
        for folder in (one, two)
    ]
    assert learnt[0].abs().max() > 1e-3
    torch.testing.assert_close(*learnt, atol=1e-4, rtol=1e-3)


def test_multi_task_with_separate_heads(files, encoder, tmp_path):
    flags = (
        f"--model_name_or_path={encoder}", "--max_steps=4", "--loss_weights=uncertainty",
        "--separate_heads=true", f"--source_train=a={files['en']},b={files['en']}",
        f"--target_test=a={files['zh']},b={files['zh']}",
    )  # fmt: skip
    out = tmp_path / "two"
    script = str(RECIPES / "multi_task.py")
    done = launch("ddp_cpu", script, *FLAGS, *flags, f"--output_dir={out}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("saved: ") == 2, "once for each task"
    one = in_one("multi_task", tmp_path / "one", *flags)
    for task in "ab":
        assert_same_result(one / task, out / task, encoder)


def test_source_free(files, encoder, tmp_path):
    given = save_classifier(encoder, tmp_path / "given", labels=("good", "bad"))
    flags = (
        f"--model_name_or_path={given}", "--num_rounds=2", "--guard=false",
        f"--target_unlabeled={files['text']}", f"--target_test={files['zh']}",
    )  # fmt: skip
    one, two = in_both("source_free", tmp_path, *flags)
    assert_same_result(one, two, given)
    states = [path.name for path in (two / "source_free_2").glob("checkpoint-*/rng_state*")]
    assert sorted(states) == ["rng_state_0.pth", "rng_state_1.pth"], "both have trained"


def test_language_adapters(files, encoder, tmp_path):
    """Masks are drawn by each process, so this is not the run of one: it is whole and plain."""
    out = in_two(
        "language_adapters", tmp_path / "two", f"--model_name_or_path={encoder}",
        f"--source_train={files['en']}", f"--target_unlabeled={files['text']}",
        f"--target_test={files['zh']}", "--language_adapter_epochs=2",
        "--language_adapter_rank=2", "--adapter_rank=2", "--language_adapter_learning_rate=0.02",
        "--guard=false",
    )  # fmt: skip
    assert results_of(out)["language_adapter_swapped"] == 1
    assert not any("lora" in name for name in load_file(out / "model.safetensors"))
    before = load_file(Path(encoder) / "model.safetensors")
    for side in ("source", "target"):
        folder = out / f"{side}_language"
        steps = json.loads(next(folder.glob("checkpoint-*/trainer_state.json")).read_text())
        num_rows = {"source": 44, "target": 24}[side]
        assert steps["global_step"] == 2 * -(-num_rows // (2 * 32)), "rows are shared, not doubled"
        pairs = load_file(folder / "adapter_model.safetensors")
        name = next(name for name in pairs if "lora_B" in name)
        assert pairs[name].abs().max() > 0
        merged = load_file(out / f"{side}_encoder" / "model.safetensors")
        plain = name.removeprefix("base_model.model.").replace(".lora_B", "")
        first = pairs[name.replace("lora_B", "lora_A")]
        expected = before[plain] + 2 * pairs[name] @ first
        torch.testing.assert_close(merged[plain], expected, atol=1e-5, rtol=1e-4)


def test_private_is_refused(files, encoder, tmp_path):
    pytest.importorskip("opacus")
    out = tmp_path / "out"
    finished = python(
        "-m", "xlingual.cli", "private", "--accelerate_config=ddp_cpu", *FLAGS,
        f"--model_name_or_path={encoder}", f"--source_train={files['en']}",
        "--private_delta=1e-3", f"--output_dir={out}", cwd=tmp_path, OMP_NUM_THREADS="1",
    )  # fmt: skip
    assert finished.returncode == 2
    said = [line for line in finished.stderr.splitlines() if line.startswith("error: ")]
    assert len(said) == 1
    assert "private fine-tuning: one process on one device only" in said[0]
    assert "got 2: start it with python" in said[0]
    assert not list(out.glob("*.safetensors"))
