"""``benchmarks/transfer.py`` on small files: one zero-shot model per source, and its users."""

from __future__ import annotations

import itertools
import json

import pytest

from tests.recipes.commands import QUICK, ROOT, python, read_rows, warm_python, write_rows

BENCHMARK = str(ROOT / "benchmarks" / "transfer.py")
DOMAINS = ("hotel", "books", "computer", "phone", "clothes")


@pytest.fixture
def data(tmp_path, files):
    """The layout that the benchmark reads: one English source, five Chinese sets, a dictionary."""
    english, chinese = (read_rows(files.folder / name) for name in ("en.jsonl", "zh.jsonl"))
    for folder in ("reviews", "topic", "parallel"):
        (files.folder / folder).mkdir()
    for name in ("train", "dev"):
        write_rows(files.folder / "reviews" / f"en.{name}.jsonl", english)
        write_rows(files.folder / "topic" / f"en.{name}.jsonl", english[: len(chinese)])
    for name in ("train", "dev", "test"):
        write_rows(files.folder / "topic" / f"zh.{name}.jsonl", chinese)
    for number, domain in enumerate(DOMAINS):
        for name in ("train", "dev", "test"):
            path = files.folder / "reviews" / f"zh_{domain}.{name}.jsonl"
            write_rows(path, chinese[: len(chinese) - number])
    return files.folder


@pytest.mark.slow
def test_one_zero_shot_model_serves_all_sets_of_its_source(tmp_path, data, encoder):
    command = (
        BENCHMARK, f"--data={data}", "--results=found.jsonl", "--seeds", "3", "--num_workers=2",
        "--domains", "hotel", "books", "--methods", "zero_shot", "coral", "source_free",
        "distill",
        f"--model={encoder}", "--max_length=32", "--flags", *QUICK, "--max_train_rows=40",
    )  # fmt: skip
    finished = python(*command, cwd=tmp_path, executable=warm_python())
    assert finished.returncode == 0, finished.stderr
    (model,) = (tmp_path / "found.jsonl.zero_shot").iterdir()
    assert (model / "model.safetensors").is_file()
    results = json.loads((model / "all_results.json").read_text(encoding="utf-8"))
    rows = read_rows(tmp_path / "found.jsonl")
    found = {(row["domain"], row["method"]): row for row in rows}
    assert len(found) == len(rows)
    waiting = ("coral", "source_free", "distill")
    assert {method for _, method in found} == {"zero_shot", *waiting}
    for domain in DOMAINS:
        row = found[domain, "zero_shot"]
        assert row["eval_zh_accuracy"] == results[f"eval_zh_{domain}_accuracy"]
    for domain, method in itertools.product(("hotel", "books"), waiting):
        row, first = found[domain, method], found[domain, "zero_shot"]
        assert row["zero_shot_seconds"] == first["seconds"] < row["seconds"]
        assert "zero_shot_seconds" not in first
        assert f"| {domain} | {method} | 1 |" in finished.stdout
    assert ("phone", "coral") not in found
    assert "| phone |" not in finished.stdout, "it was not asked for"
    assert "| mean of 2 review domains | coral | 1 |" in finished.stdout
    assert found["books", "coral"]["max_length"] == 32

    # Started again there is nothing to run.
    again = python(*command, cwd=tmp_path, executable=warm_python())
    assert again.stdout == finished.stdout
    assert read_rows(tmp_path / "found.jsonl") == rows


@pytest.mark.slow
def test_a_student_of_several_teachers_waits_for_the_models_of_the_next_seeds(
    tmp_path, data, encoder
):
    command = (
        BENCHMARK, f"--data={data}", "--results=found.jsonl", "--seeds", "3", "4",
        "--num_workers=2", "--domains", "topic", "--methods", "distill_fused",
        f"--model={encoder}", "--max_train_rows=10", "--flags", *QUICK,
    )  # fmt: skip
    finished = python(*command, cwd=tmp_path, executable=warm_python())
    assert finished.returncode == 0, finished.stderr
    rows = read_rows(tmp_path / "found.jsonl")
    found = {(row["method"], row["seed"]): row for row in rows}
    assert len(found) == len(rows), "a model that two seeds ask for is trained once"
    assert set(found) == {("zero_shot", seed) for seed in range(3, 7)} | {
        ("distill_fused", seed) for seed in (3, 4)
    }
    before = sum(found["zero_shot", seed]["seconds"] for seed in (4, 5, 6))
    assert found["distill_fused", 4]["zero_shot_seconds"] == pytest.approx(before)
    assert len(list((tmp_path / "found.jsonl.zero_shot").iterdir())) == 4


@pytest.mark.slow
def test_a_failing_run_is_said_and_its_cells_are_open(tmp_path, data, encoder):
    command = (
        BENCHMARK, f"--data={data}", "--results=found.jsonl", "--seeds", "0", "--domains", "hotel",
        "--methods", "code_switching", "frozen_self_training", "zero_shot", f"--model={encoder}",
        "--flags", *QUICK,
    )  # fmt: skip
    finished = python(*command, cwd=tmp_path, executable=warm_python())
    assert finished.returncode == 1
    assert f"failed: {'+'.join(DOMAINS)} code_switching 0" in finished.stderr
    found = {row["method"] for row in read_rows(tmp_path / "found.jsonl")}
    assert found == {"zero_shot", "frozen_self_training"}


@pytest.mark.slow
def test_the_topics_in_chinese_are_the_translations_of_the_english_ones(tmp_path, data, encoder):
    command = (
        BENCHMARK, f"--data={data}", "--results=found.jsonl", "--seeds", "0", "--domains", "hotel",
        "topic", "--methods", "translations", f"--model={encoder}", "--max_train_rows=10",
        "--flags", *QUICK, "--guard=false",
    )  # fmt: skip
    finished = python(*command, cwd=tmp_path, executable=warm_python())
    assert finished.returncode == 0, finished.stderr
    (row,) = read_rows(tmp_path / "found.jsonl")
    assert (row["domain"], row["method"]) == ("topic", "translations"), "others have none"
