"""The benchmark of variants: a row for each, shared parts made once, resumable."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.pretraining.conftest import PAIRS
from tests.pretraining.teachers import save_teacher
from tests.recipes.commands import ROOT, python, warm_python

COMMON = {
    "vocab_size": 58,
    "dim": 32,
    "num_layers": 1,
    "intermediate_size": 16,
    "static_steps": 2,
    "steps": 2,
    "save_every": 2,
    "contrast_batch": 8,
    "prediction_batch": 4,
    "precision": "no",
}
VARIANTS = {"all": {}, "alone": {"pooled_weight": 0, "token_weight": 0, "relation_weight": 0}}


def _write_data(folder: Path) -> None:
    for side, name in enumerate(("en", "zh")):
        rows = [
            json.dumps({"text": pair[side], "label": "good" if "good" in pair[0] else "other"})
            for pair in PAIRS[:40]
        ]
        for path in (f"topic/{name}.train", f"topic/{name}.dev"):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / f"{path}.jsonl").write_text("\n".join(rows), encoding="utf-8")
    (folder / "reviews").mkdir()
    for source, target in (
        ("en.train", "en.train"),
        ("en.dev", "en.dev"),
        ("zh.dev", "zh_hotel.dev"),
    ):
        text = (folder / "topic" / f"{source}.jsonl").read_text("utf-8")
        (folder / "reviews" / f"{target}.jsonl").write_text(text, encoding="utf-8")


@pytest.mark.slow
def test_variants_are_built_and_scored_once(
    bitext_file: Path, dictionary_file: Path, tmp_path: Path
) -> None:
    _write_data(tmp_path / "data")
    settings = tmp_path / "variants.json"
    settings.write_text(json.dumps({"common": COMMON, "variants": VARIANTS}))
    command = [
        str(ROOT / "benchmarks" / "build_encoder.py"), "--variants", str(settings),
        "--output_dir", str(tmp_path / "out"), "--bitext", str(bitext_file),
        "--dictionary", str(dictionary_file), "--teacher", str(save_teacher(tmp_path / "teacher")),
        "--data", str(tmp_path / "data"),
    ]  # fmt: skip
    for _ in range(2):
        done = python(*command, cwd=tmp_path, executable=warm_python())
        assert done.returncode == 0, done.stderr[-3000:]
    lines = (tmp_path / "out" / "results.jsonl").read_text("utf-8").splitlines()
    rows = {row["variant"]: row for row in map(json.loads, lines)}
    assert list(rows) == ["teacher", "shipped", "all", "alone"]
    assert len(lines) == 4
    assert rows["all"]["last_loss"] != rows["alone"]["last_loss"]
    assert all(
        0 <= rows["all"][name] <= 100 for name in ("en_to_zh", "topic_zh_folds", "hotel_dev")
    )
    assert len(list((tmp_path / "out").glob("stage0-*"))) == 1
    assert "| alone |" in done.stdout
