"""Each case in two real processes gives what it gives in one, or is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from tests.distributed import cases, losses_worker, playlist, worker
from tests.recipes.commands import launch, read_rows, results_of, warm_python
from xlingual import cli

pytestmark = pytest.mark.slow

COSTS = ("runtime", "per_second", "seconds", "memory_mib")


@dataclass(frozen=True)
class Group:
    """Two processes that have run the whole playlist."""

    folder: Path
    files: dict[str, str]
    stderr: str

    def said(self, name: str) -> list[dict[str, Any]]:
        """The exit code and the output of a case, by process."""
        records = [self.folder / f"{name}.{rank}.json" for rank in (0, 1)]
        assert all(record.is_file() for record in records), self.stderr
        return [json.loads(record.read_text(encoding="utf-8")) for record in records]

    def result(self, name: str, *, times: int = 1) -> Path:
        """The folder of a recipe that has run to its end."""
        said = self.said(name)
        assert [each["code"] for each in said] == [0, 0], said[0]["err"]
        printed = [each["out"].count("saved: ") for each in said]
        assert printed == [times, 0], "one process speaks for all"
        return self.folder / name


@pytest.fixture(scope="module")
def group(tmp_path_factory, encoder) -> Group:
    folder = tmp_path_factory.mktemp("group")
    files = cases.write_files(tmp_path_factory.mktemp("files"), encoder)
    path = folder / "cases.json"
    path.write_text(json.dumps(cases.all_commands(files, folder)), encoding="utf-8")
    program = str(Path(playlist.__file__))
    done = launch("ddp_cpu", program, str(path), cwd=folder, executable=warm_python())
    return Group(folder, files, done.stderr)


@pytest.fixture
def in_one(group, tmp_path):
    """The same batches, two to a step."""

    def start(words: tuple[str, ...]) -> Path:
        command = cases.command(words, group.files, tmp_path / "one")
        cli.main([*command, "--gradient_accumulation_steps=2"])
        return tmp_path / "one"

    return start


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


@pytest.mark.parametrize("name", cases.SAME_AS_ONE)
def test_every_method(group, in_one, name):
    words = cases.SAME_AS_ONE[name]
    two = group.result(name)
    one = in_one(words)
    start = "encoder" if cases.MODEL in words else "teacher"
    assert_same_result(one, two, group.files[start])
    if name == "zero-shot":
        assert {"estimated_zh_accuracy", "label_shift_corrected"} <= results_of(two).keys()
    elif name == "co-training":
        assert all((folder / "co_training").is_dir() for folder in (one, two))
    elif name == "source-free":
        states = {path.name for path in (two / "source_free_2").glob("checkpoint-*/rng_state*")}
        assert states == {"rng_state_0.pth", "rng_state_1.pth"}, "both have trained"
    elif name == "multi-task":
        state = Path("checkpoint-8") / "transfer_loss.safetensors"
        learnt = [load_file(folder / state)["theta"] for folder in (one, two)]
        assert learnt[0].abs().max() > 1e-3
        torch.testing.assert_close(*learnt, atol=1e-4, rtol=1e-3)


def test_separate_heads(group, in_one):
    two = group.result("separate-heads", times=2)  # once for each task
    one = in_one(cases.HEADS)
    for task in "ab":
        assert_same_result(one / task, two / task, group.files["encoder"])


def test_continued_pretraining_is_whole_and_learnt(group):
    out = group.result("continued-pretraining")
    assert results_of(out)["eval_zh_rows"] == 13
    before, between, after = (
        load_file(Path(folder) / "model.safetensors")["model.embeddings.tok_embeddings.weight"]
        for folder in (group.files["encoder"], out / "continued_pretraining", out)
    )
    assert not torch.equal(before, between)
    assert not torch.equal(between, after)


def test_language_adapters_are_whole_and_plain(group):
    out = group.result("language-adapters")
    assert results_of(out)["language_adapter_swapped"] == 1
    assert not any("lora" in name for name in load_file(out / "model.safetensors"))
    before = load_file(Path(group.files["encoder"]) / "model.safetensors")
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


def test_private_is_refused(group):
    pytest.importorskip("opacus")
    for said in group.said("private"):
        assert said["code"] == 2
        (line,) = [line for line in said["err"].splitlines() if line.startswith("error: ")]
        assert "private fine-tuning: one process on one device only" in line
        assert "got 2: start it with python" in line
    assert not list((group.folder / "private").glob("*.safetensors"))


def test_an_encoder_is_built_by_both_and_written_by_one(group):
    said = group.said("pretraining")
    assert [each["code"] for each in said] == [0, 0], said[0]["err"]
    out = group.folder / "pretraining"
    rows = read_rows(out / "retrieval.jsonl")
    assert [row["step"] for row in rows] == [2, 4]  # once each, not once a process
    assert (out / "encoder" / "model.safetensors").is_file()


def test_a_gradient_does_not_depend_on_the_number_of_processes(group, tmp_path, encoder):
    """Rows with weights, rows without labels, and a fixed share of target rows."""
    assert [said["code"] for said in group.said("gradients")] == [0, 0]
    out = group.folder / "gradients"
    report = json.loads((out / "report.json").read_text())
    assert report["world_size"] == 2
    alone = worker.train(encoder, str(tmp_path / "one"), accumulation=2)
    assert report["steps"] == alone.state.global_step
    saved, weights = load_file(out / "model.safetensors"), alone.model.state_dict()
    assert saved.keys() <= weights.keys()
    for name, tensor in saved.items():
        torch.testing.assert_close(tensor, weights[name], atol=1e-5, rtol=1e-4, msg=name)
    assert len(report["probs"]) == 13, "rows that fill up the last batch are not counted"


@pytest.fixture
def losses(group) -> Path:
    """The folder of the weights that each of two processes ended with, for each loss."""
    assert [said["code"] for said in group.said("losses")] == [0, 0]
    return group.folder / "losses"


def test_both_processes_end_with_the_same_weights(losses):
    with safe_open(losses / "rank0.safetensors", "pt") as saved:
        assert saved.metadata() == {"world_size": "2"}
    ends = [load_file(losses / f"rank{rank}.safetensors") for rank in (0, 1)]
    assert {name.split("/")[0] for name in ends[0]} == set(losses_worker.LOSSES)
    for name, value in ends[0].items():
        assert torch.isfinite(value).all(), name
        assert torch.equal(value, ends[1][name]), name


def test_each_loss_is_that_of_one_process(losses, tmp_path, encoder):
    """A batch of each process is a batch of the accumulated step: the same rows and draws."""
    ends = load_file(losses / "rank0.safetensors")
    logs = json.loads((losses / "rank0.json").read_text(encoding="utf-8"))
    plain, _ = losses_worker.train(encoder, str(tmp_path / "plain"), None, accumulation=2)
    for name, loss in losses_worker.make_losses(encoder).items():
        alone, lines = losses_worker.train(encoder, str(tmp_path / name), loss, accumulation=2)
        moved = max(float((alone[key] - value).abs().max()) for key, value in plain.items())
        assert moved > 1e-3, f"{name} adds too little for this to show anything"
        for key, value in alone.items():
            torch.testing.assert_close(
                ends[f"{name}/{key}"], value, atol=1e-5, rtol=1e-4, msg=f"{name}/{key}"
            )
        assert {"loss", "loss_task", f"loss_{name}"} <= lines[0].keys()
        for line, other in zip(lines, logs[name], strict=True):
            timeless = {key: value for key, value in line.items() if key != "grad_norm"}
            assert {key: other[key] for key in timeless} == pytest.approx(timeless, rel=1e-3)
