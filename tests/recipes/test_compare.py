"""The comparison, started as a user would: the table, a second start, a method that fails."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml

from tests.classifiers import save_classifier
from tests.recipes.commands import QUICK, read_rows, warm_python, write_rows
from xlingual import cli


@pytest.fixture(autouse=True)
def _warm_runs(monkeypatch) -> None:
    """The runs are processes of their own, without the seconds of their imports."""
    monkeypatch.setattr(sys, "executable", warm_python())


@pytest.mark.slow
def test_compared_on_real_recipes(tmp_path, files, encoder, capsys):
    text = [{"text": row["text"]} for row in read_rows(files.folder / "zh.jsonl")]
    flags = (
        "compare", "--methods=zero_shot,coral,supervised", "--seeds", "0", "1",
        "--num_workers=2", f"--model_name_or_path={encoder}", *QUICK,
        f"--target_unlabeled={write_rows(files.folder / 'text.jsonl', text)}",
        *files.flags("source_train", "target_train", "target_test"),
        f"--output_dir={tmp_path / 'out'}",
    )  # fmt: skip
    cli.main(flags)
    said, out = capsys.readouterr().out, tmp_path / "out"
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert results["methods"] == ["zero_shot", "coral", "supervised"]
    assert results["failed"] == {}
    found = results["sets"]["zh"]
    for method in results["methods"]:
        runs = [json.loads((out / f"{method}-{s}" / "all_results.json").read_text()) for s in "01"]
        mean = sum(run["eval_zh_accuracy"] for run in runs) / 2
        assert found[method]["score"] == pytest.approx(mean)
        assert results["costs"][method]["seconds"] > 0
    assert found["coral"]["p_value"] > 0
    assert found["zero_shot"]["p_value"] is None
    assert set(results["estimated_accuracy"]) <= {"zero_shot", "coral"}, "no estimate of a ceiling"
    assert results["recommended_without_target_test_labels"] in ("zero_shot", "coral")
    table = (out / "table.md").read_text(encoding="utf-8")
    for method in results["methods"]:
        assert f"| zh | {method} | " in table
        assert said.count(f"\n{method}  ") == 2, "its scores and its costs"
    assert "READ THE TARGET'S TEST LABELS" in table

    # The zero-shot model was trained once for a seed, and its seconds are part of the others'.
    told = yaml.safe_load((out / "coral-1.yaml").read_text(encoding="utf-8"))
    assert told["zero_shot_model"] == str(out / "zero_shot-1")
    assert not list((out / "coral-1" / "zero_shot").iterdir())
    assert results["costs"]["coral"]["seconds"] > results["costs"]["zero_shot"]["seconds"]

    # Every run is a command that the user can start, and it gives the same again.
    cli.main(["zero_shot", f"--config={out}/zero_shot-0.yaml", f"--output_dir={tmp_path}/again"])
    again = (tmp_path / "again" / "predictions_zh.jsonl").read_text(encoding="utf-8")
    assert again == (out / "zero_shot-0" / "predictions_zh.jsonl").read_text(encoding="utf-8")

    # Started again there is nothing to run.
    before = (out / "runs.jsonl").read_text()
    cli.main(flags)
    assert (out / "runs.jsonl").read_text() == before
    assert json.loads((out / "results.json").read_text(encoding="utf-8")) == results


@pytest.mark.slow
def test_without_test_labels_the_estimate_decides(tmp_path, files, encoder, capsys):
    """English rows enough for a temperature; the target is text alone, with poisoned labels."""
    english = read_rows(Path(files.en)) * 5
    out = tmp_path / "out"
    cli.main([
        "compare", "--methods=zero_shot,coral", "--seeds", "0", f"--model_name_or_path={encoder}",
        *QUICK, f"--source_train={write_rows(files.folder / 'many.jsonl', english)}",
        f"--target_unlabeled={files.zh}", "--guard=false", f"--output_dir={out}",
    ])  # fmt: skip
    said = capsys.readouterr().out
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert results["sets"] == {}
    assert set(results["estimated_accuracy"]) == {"zero_shot", "coral"}
    assert "recommended without target test labels" in said
    assert "READ THE TARGET'S TEST LABELS" not in said
    assert yaml.safe_load((out / "coral-0.yaml").read_text())["guard"] is False


@pytest.mark.slow
def test_a_failing_method_is_a_line_of_the_table(tmp_path, files, encoder, capsys):
    other = write_rows(files.folder / "one.jsonl", [{"text": "房间很脏。", "label": "negative"}])
    out = tmp_path / "out"
    cli.main([
        "compare", "--methods=zero_shot,supervised", "--seeds", "0",
        f"--model_name_or_path={encoder}", *QUICK, f"--target_train={other}",
        *files.flags("source_train", "target_test"), f"--output_dir={out}",
    ])  # fmt: skip
    said = capsys.readouterr().out
    assert "FAILED supervised-0: exit code 2: source_train has one label only" in said
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert list(results["sets"]["zh"]) == ["zero_shot"]
    assert results["recommended_by_target_test_labels"] == "zero_shot"


@pytest.mark.slow
def test_methods_by_the_files_that_are_given(tmp_path, files, encoder):
    words = files.folder / "words.txt"
    words.write_text("room\t房间\nclean\t干净\nbreakfast\t早餐\n", encoding="utf-8")
    teacher = save_classifier(encoder, tmp_path / "teacher", labels=("negative", "positive"))
    out = tmp_path / "out"
    cli.main([
        "compare", "--methods=frozen_self_training,code_switching,distill", "--seeds", "0",
        "--num_workers=2", f"--model_name_or_path={encoder}", *QUICK, f"--dictionary={words}",
        f"--teachers={teacher}", f"--target_unlabeled={files.zh}", "--guard=false",
        *files.flags("source_train", "target_test"), f"--output_dir={out}",
    ])  # fmt: skip
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert results["failed"] == {}
    assert set(results["sets"]["zh"]) == {"frozen_self_training", "code_switching", "distill"}
    assert results["recommended_without_target_test_labels"] is None, (
        "evidence says nothing of them"
    )
