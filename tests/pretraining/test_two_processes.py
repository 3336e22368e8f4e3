"""Two processes over gloo build one encoder: one writes, both train on batches of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pretraining.test_build import RECIPE, TINY

pytestmark = pytest.mark.slow


def test_two_processes_build_one_encoder(bitext_file: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    command += ["--rdzv_backend", "c10d", "--rdzv_endpoint", "localhost:0", str(RECIPE)]
    command += ["--bitext", str(bitext_file), "--output_dir", str(tmp_path / "out"), *TINY]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=RECIPE.parents[1],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(RECIPE.parents[1])},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    rows = (tmp_path / "out" / "retrieval.jsonl").read_text().splitlines()
    assert [json.loads(row)["step"] for row in rows] == [2, 4]  # once each, not once a process
    assert (tmp_path / "out" / "encoder" / "model.safetensors").is_file()
