"""The comparison: its processes, what a second start does, failures, and the table."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.recipes.commands import QUICK, RECIPES, python, read_rows, write_rows
from xlingual import ComparedRun, cli, run_all
from xlingual.comparing import CompareArguments, changed_settings
from xlingual.errors import ConfigError, OutputError

# What a recipe does, as far as the comparison sees: it reads --config and leaves its results.
STAND_IN = """
import json, pathlib, sys, yaml
config = yaml.safe_load(open(sys.argv[sys.argv.index("--config") + 1], encoding="utf-8"))
out = pathlib.Path(config["output_dir"])
out.mkdir(exist_ok=True)
starts = out / "starts.txt"
with starts.open("a") as file:
    file.write(" ".join(sys.argv[3:]) + "\\n")
if config.get("fails") and len(starts.read_text().splitlines()) <= config["fails"]:
    sys.exit("Traceback ...\\nerror: no such file 酒店.csv")
if config.get("sleeps"):
    import time; time.sleep(config["sleeps"])
(out / "all_results.json").write_text(json.dumps({"eval_zh_accuracy": 1.0}))
"""


@pytest.fixture
def make_run(tmp_path):
    recipe = tmp_path / "stand_in.py"
    recipe.write_text(STAND_IN)

    def make(method: str, seed: int = 0, **settings) -> ComparedRun:
        return ComparedRun(method, seed, recipe, settings)

    return make


def starts(folder: Path) -> list[str]:
    return (folder / "starts.txt").read_text().splitlines()


def test_a_failure_stops_no_other_and_is_tried_again(tmp_path, make_run):
    runs = [make_run("good"), make_run("bad", fails=1), make_run("later", 3)]
    out = tmp_path / "out"
    ended = run_all(runs, output_dir=out)
    assert [run.error for run in ended] == [None, "exit code 1: no such file 酒店.csv", None]
    assert [run.folder for run in ended] == [out / "good-0", out / "bad-0", out / "later-3"]
    assert all(run.seconds > 0 for run in ended)

    ended = run_all(runs, output_dir=out)
    assert [run.error for run in ended] == [None] * 3
    assert len(starts(out / "good-0")) == 1, "it had its result"
    assert starts(out / "bad-0") == ["", "--resume_from_checkpoint true"]

    run_all(runs, output_dir=out, overwrite=True)
    assert starts(out / "good-0")[-1] == "--overwrite_output true"


def test_other_settings_are_not_mixed_with_results_that_are_there(tmp_path, make_run):
    run_all([make_run("m", max_steps=2)], output_dir=tmp_path / "out")
    with pytest.raises(ConfigError, match="m-0 was begun with other settings"):
        run_all([make_run("m", max_steps=3)], output_dir=tmp_path / "out")
    config = yaml.safe_load((tmp_path / "out" / "m-0.yaml").read_text())
    assert config == {"max_steps": 2, "seed": 0, "output_dir": str(tmp_path / "out" / "m-0")}


def test_runs_go_side_by_side_each_on_its_device(tmp_path, make_run, monkeypatch):
    seen = []
    monkeypatch.setattr("xlingual.comparing.running._devices", lambda: ["3", "5"])
    monkeypatch.setattr(
        "xlingual.comparing.running._environment", lambda device, _: seen.append(device)
    )
    started = time.perf_counter()
    run_all([make_run("m", seed, sleeps=2) for seed in range(2)], output_dir=tmp_path / "out")
    assert time.perf_counter() - started < 3.9
    assert sorted(seen) == ["3", "5"]


@pytest.mark.skipif(sys.platform == "win32", reason="no flock")
def test_a_run_that_still_goes_on_is_not_started_a_second_time(tmp_path, make_run):
    import fcntl

    (tmp_path / "out").mkdir()
    with (tmp_path / "out" / "m-0.log").open("ab") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        with pytest.raises(OutputError, match="m-0 is still running"):
            run_all([make_run("m")], output_dir=tmp_path / "out")


def test_results_that_were_being_written_are_no_result(tmp_path, make_run):
    folder = tmp_path / "out" / "m-0"
    folder.mkdir(parents=True)
    (folder / "all_results.json").write_text('{"eval_zh_rows": 2}')
    (folder / "predictions_zh.jsonl").write_text("{}\n")
    run_all([make_run("m")], output_dir=tmp_path / "out")
    assert starts(folder) == ["--resume_from_checkpoint true"]


def test_methods_by_what_the_data_allows():
    known = {"zero_shot": (), "coral": ("target_unlabeled",), "dann": ("target_unlabeled",)}
    choose = CompareArguments().choose_methods
    assert choose(known, {"source_train"}) == ["zero_shot"]
    given = {"source_train", "target_unlabeled"}
    assert choose(known, given, left_out=["dann"]) == ["zero_shot", "coral"]
    asked = CompareArguments(methods="dann, zero_shot").choose_methods
    assert asked(known, given, left_out=["dann"]) == ["zero_shot", "dann"]
    with pytest.raises(ConfigError, match="dann needs --target_unlabeled"):
        asked(known, {"source_train"})
    with pytest.raises(ConfigError, match="takes zero_shot, coral, dann; got 'magic'"):
        CompareArguments(methods="magic").choose_methods(known, given)
    with pytest.raises(ConfigError, match="--seeds"):
        CompareArguments(seeds=[1, 1])


def test_what_is_handed_on_and_what_is_not(tmp_path):
    from xlingual import TransferArguments

    args = TransferArguments(
        output_dir=str(tmp_path), seed=5, learning_rate=1e-3, hub_token="hf_secret",
        selection="source_dev", max_length=64,
    )  # fmt: skip
    expected = {"learning_rate": 1e-3, "selection": "source_dev", "max_length": 64}
    assert changed_settings(args) == expected


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
    assert results["recommended_without_target_labels"] in ("zero_shot", "coral")
    table = (out / "table.md").read_text(encoding="utf-8")
    assert table.strip() in said
    assert "READ THE TARGET'S TEST LABELS" in table

    # Every run is a command that the user can start: the same weights, and labels are its own.
    again = python(
        str(RECIPES / "zero_shot.py"), f"--config={out}/zero_shot-0.yaml",
        f"--output_dir={tmp_path}/again", cwd=tmp_path,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    same = [
        (f / "predictions_zh.jsonl").read_text() for f in (out / "zero_shot-0", tmp_path / "again")
    ]
    assert same[0] == same[1]

    # Started again there is nothing to run; a folder that is gone is run again.
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
    assert "recommended without target labels" in said
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
