"""``private``: the budget in the results, nothing of the private rows in the folder."""

from __future__ import annotations

import shutil

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tests.recipes.commands import read_rows, results_of
from tests.recipes.test_resume import same_bits

pytest.importorskip("opacus")
pytestmark = pytest.mark.slow


def start(run, files, out, *flags: str) -> None:
    run(
        "private", *files.flags("source_train", "target_test"), f"--output_dir={out}",
        "--private_delta=1e-3", "--private_seed=1", "--adapter_rank=2", "--head_learning_rate=0.05",
        *flags,
    )  # fmt: skip


def test_the_results_say_what_was_spent(run, files, tmp_path, capsys):
    out = tmp_path / "out"
    start(run, files, out, "--private_epsilon=3")
    results = results_of(out)
    assert 2.9 < results["epsilon"] <= 3
    assert results["delta"] == 1e-3
    assert results["noise_multiplier"] > 0.1
    table = capsys.readouterr().out
    assert "delta: 0.001" in table
    assert "delta 0.001 per row" in table
    private = {row["text"] for row in read_rows(files.folder / "en.jsonl")}
    for path in out.rglob("*.json*"):
        if path.name != "tokenizer.json":
            text = path.read_text(encoding="utf-8")
            assert not any(row in text for row in private), path
    assert not (out / "predictions_en.jsonl").exists()
    model = AutoModelForSequenceClassification.from_pretrained(out, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(out)
    for row in read_rows(out / "predictions_zh.jsonl")[:3]:
        with torch.no_grad():
            probs = model(**tokenizer(row["text"], return_tensors="pt")).logits.softmax(-1)[0]
        named = {model.config.id2label[i]: float(p) for i, p in enumerate(probs)}
        assert named == pytest.approx(row["probabilities"], abs=1e-3)


def test_a_validation_set_that_is_given_is_scored(run, files, tmp_path):
    start(run, files, tmp_path / "out", f"--source_validation={files.en}")
    assert results_of(tmp_path / "out")["eval_en_rows"] == 48


def test_resumed_it_is_the_same_and_another_budget_is_refused(run, files, tmp_path, capsys):
    flags = ("--max_steps=8", "--save_strategy=steps", "--save_steps=3", "--save_total_limit=9")
    whole, part = tmp_path / "whole", tmp_path / "part"
    start(run, files, whole, *flags)
    shutil.copytree(whole / "checkpoint-3", part / "checkpoint-3")
    resume = "--resume_from_checkpoint=true"
    with pytest.raises(SystemExit):
        start(run, files, part, *flags, "--private_epsilon=1", resume)
    assert "start again" in capsys.readouterr().err
    start(run, files, part, *flags, resume)
    assert same_bits(whole, part)


def test_bad_flags_end_in_one_line(run, files, tmp_path, capsys):
    for flag, message in (
        ("--private_epsilon=0", "above 0"),
        ("--adapter=dora", "--adapter lora"),
        ("--class_weights=auto", "counts private labels"),
    ):
        with pytest.raises(SystemExit) as ended:
            start(run, files, tmp_path / "out", flag)
        assert ended.value.code == 2
        assert message in capsys.readouterr().err


def test_without_any_set_to_score_the_model_is_saved(run, files, tmp_path):
    run(
        "private", *files.flags("source_train"), f"--output_dir={tmp_path / 'out'}",
        "--private_delta=1e-3",
    )  # fmt: skip
    assert results_of(tmp_path / "out")["epsilon"] > 0
