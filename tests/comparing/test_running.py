"""Runs as processes: those that are started, those that are not, and those that fail."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest
import yaml

from xlingual.comparing import ComparedRun, run_all
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

    def make(method: str, seed: int = 0, *, after: str | None = None, **settings) -> ComparedRun:
        return ComparedRun(method, seed, recipe, settings, after)

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


def test_a_run_waits_for_the_one_it_starts_from(tmp_path, make_run):
    """Side by side as well; its seconds hold both, and without the other it is not begun."""
    runs = [make_run("first", sleeps=1), make_run("second", after="first-0")]
    first, second = run_all(runs, output_dir=tmp_path / "out", num_workers=2)
    ends = [json.loads(line) for line in (tmp_path / "out" / "runs.jsonl").open()]
    assert [end["run"] for end in ends] == ["first-0", "second-0"]
    assert first.seconds == ends[0]["seconds"]
    assert second.seconds == pytest.approx(ends[0]["seconds"] + ends[1]["seconds"])

    runs = [make_run("first", fails=1), make_run("second", after="first-0")]
    ended = run_all(runs, output_dir=tmp_path / "failed")
    assert ended[1].error == "first-0, whose model it starts from, failed"
    assert ended[1].seconds is None
    assert not (tmp_path / "failed" / "second-0").exists()
    ended = run_all(runs, output_dir=tmp_path / "failed")
    assert [run.error for run in ended] == [None, None]


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


@pytest.mark.skipif(sys.platform == "win32", reason="no flock")
def test_an_error_leaves_nothing_running(tmp_path, make_run):
    import fcntl

    (tmp_path / "out").mkdir()
    runs = [make_run("m", seed, sleeps=60) for seed in range(3)]
    started = time.perf_counter()
    with (tmp_path / "out" / "m-1.log").open("ab") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        with pytest.raises(OutputError, match="m-1 is still running"):
            run_all(runs, output_dir=tmp_path / "out", num_workers=2)
    assert time.perf_counter() - started < 30
    assert not list((tmp_path / "out").glob("*/all_results.json"))


def test_results_that_were_being_written_are_no_result(tmp_path, make_run):
    folder = tmp_path / "out" / "m-0"
    folder.mkdir(parents=True)
    (folder / "all_results.json").write_text('{"eval_zh_rows": 2}')
    (folder / "predictions_zh.jsonl").write_text("{}\n")
    run_all([make_run("m")], output_dir=tmp_path / "out")
    assert starts(folder) == ["--resume_from_checkpoint true"]
