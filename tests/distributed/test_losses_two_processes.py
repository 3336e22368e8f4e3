"""Each loss of the seam in two real processes gives what it gives in one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from tests.distributed import losses_worker
from tests.recipes.commands import python

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def two(tmp_path_factory, encoder) -> Path:
    """The folder of the weights that each of two processes ended with."""
    out = tmp_path_factory.mktemp("losses")
    finished = python(
        "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone",
        str(Path(losses_worker.__file__)), encoder, str(out), cwd=out, OMP_NUM_THREADS="1",
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    return out


def test_both_processes_end_with_the_same_weights(two):
    with safe_open(two / "rank0.safetensors", "pt") as saved:
        assert saved.metadata() == {"world_size": "2"}
    ends = [load_file(two / f"rank{rank}.safetensors") for rank in (0, 1)]
    assert {name.split("/")[0] for name in ends[0]} == set(losses_worker.LOSSES)
    for name, value in ends[0].items():
        assert torch.isfinite(value).all(), name
        assert torch.equal(value, ends[1][name]), name


def test_they_are_those_of_one_process(two, tmp_path, encoder):
    """A batch of each process is a batch of the accumulated step: the same rows and draws."""
    ends = load_file(two / "rank0.safetensors")
    logs = json.loads((two / "rank0.json").read_text(encoding="utf-8"))
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
