"""``xlingual predict``: every row once, in its place, with all its columns, whatever happens."""

from __future__ import annotations

import csv
import errno
import gzip
import io
import json
import logging
import os
import random
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.classifiers import PEOPLE, save_classifier
from tests.conftest import NEGATIVE, POSITIVE
from tests.recipes.commands import warm_python
from xlingual import cli
from xlingual.cli.command_line import run_command
from xlingual.errors import ColumnError, ConfigError, DataError, OutputError
from xlingual.inference import Predictor, part_file, predict_file

LABELS = ("差评", "好评")
TEXTS = [text for pair in POSITIVE + NEGATIVE for text in pair]
ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """A command sets up the package's logger; the next test gets it back as it was."""
    logger = logging.getLogger("xlingual")
    handlers, propagate, level = logger.handlers, logger.propagate, logger.level
    yield
    logger.handlers, logger.propagate = handlers, propagate
    logger.setLevel(level)


@pytest.fixture(scope="module")
def model(encoders, tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("model")
    return str(save_classifier(encoders["modernbert"], folder, labels=LABELS))


@pytest.fixture(scope="module")
def predictor(model) -> Predictor:
    return Predictor.from_pretrained(model, device="cpu")


def make_rows(number: int) -> list[dict[str, Any]]:
    generator = random.Random(number)
    return [
        {
            "编号": place,
            "text": " ".join(generator.choices(TEXTS, k=generator.randint(1, 3))),
            "备注": {"来源": ["網站", None], "价格": 1.50},
            "done": place % 2 == 0,
        }
        for place in range(number)
    ]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text("".join(lines), encoding="utf-8")
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# What goes in and what comes out


def test_rows_keep_their_order_and_all_their_columns(model, predictor, tmp_path):
    rows = make_rows(300)
    source, target = write(tmp_path / "in.jsonl", rows), tmp_path / "new" / "out.jsonl"
    run_command(["predict", model, str(source), str(target), "--chunk_rows=64", "--probabilities"])
    written = read(target)
    added = ["prediction", "probability", "probabilities"]
    assert [{k: v for k, v in row.items() if k not in added} for row in written] == rows
    assert list(written[0]) == [*rows[0], *added]
    expected = predictor.predict([row["text"] for row in rows])
    for row, answer in zip(written, expected, strict=True):
        assert row["prediction"] == answer.label
        assert row["probability"] == pytest.approx(answer.probability, abs=1e-5)
        assert row["probabilities"] == pytest.approx(dict(answer.probabilities), abs=1e-5)
    assert {row["prediction"] for row in written} == {*LABELS}
    assert "备注" in target.read_text(encoding="utf-8")  # and no escapes
    assert names_in(target.parent) == {"out.jsonl"}


def test_csv_tsv_text_parquet_and_gzip_are_read(predictor, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [{"评论": text.replace(",", "，"), "id": str(n)} for n, text in enumerate(TEXTS)]
    for delimiter, name in ((",", "a.csv"), ("\t", "a.tsv")):
        with (tmp_path / name).open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.DictWriter(file, ["评论", "id"], delimiter=delimiter)
            writer.writeheader()
            writer.writerows(rows)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress((tmp_path / "a.csv").read_bytes()))
    (tmp_path / "gb.csv").write_bytes((tmp_path / "a.csv").read_text("utf-8-sig").encode("gb18030"))
    write(tmp_path / "a.json", rows)
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    (tmp_path / "a.txt").write_text("".join(r["评论"] + "\n" for r in rows), encoding="utf-8")
    expected = [answer.label for answer in predictor.predict([row["评论"] for row in rows])]
    for name in ("a.csv", "a.tsv", "a.csv.gz", "gb.csv", "a.json", "a.parquet", "a.txt"):
        target = tmp_path / f"{name}.out.jsonl"
        predict_file(predictor, tmp_path / name, target)
        written = read(target)
        assert [row["prediction"] for row in written] == expected, name
        if name != "a.txt":
            assert [{"评论": row["评论"], "id": row["id"]} for row in written] == rows, name


def test_bad_rows_keep_their_place_and_say_why(model, tmp_path, caplog):
    lines = [
        '{"text": "床很舒服。", "n": 1}',
        '{"text": "坏了',
        '{"n": 3}',
        '{"text": null, "n": 4}',
        '{"text": " \\u200b", "n": 5}',
        '{"text": 6, "n": 6}',
        '["床"]',
        "",
        '{"text": "\\ud83d", "n": 8}',
        '{"text": "Great\\u0000 service", "n": 9}',
        '{"text": ["a", "b"], "n": 10}',
    ]
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes("\n".join(lines).encode() + b'\n{"text": "\xff", "n": 11}')
    with caplog.at_level("WARNING", logger="xlingual"):
        run_command(["predict", model, str(source), str(target)])
    written = read(target)
    assert [row.get("n") for row in written] == [1, None, 3, 4, 5, 6, None, 8, 9, 10, 11]
    answered = [row["n"] for row in written if row["prediction"] is not None]
    assert answered == [1, 9]
    reasons = [row.get("prediction_error", "") for row in written]
    assert [bool(reason) for reason in reasons] == [row.get("n") not in answered for row in written]
    assert reasons[1].startswith("row 2: not valid JSON")
    assert written[1]["prediction_raw"] == lines[1]
    assert reasons[2] == "row 3: no text"
    assert reasons[5] == "row 6: the text is of type int, not a string"
    assert "9 of 11 rows have no prediction" in caplog.text


def test_columns_of_the_input_are_never_overwritten(predictor, tmp_path, caplog):
    rows = [{"text": "床很舒服。", "prediction": "by hand", "xlingual_prediction": "by machine"}]
    rows += [{"text": "房间很脏。", "prediction": "by hand", "probability": "sure"}] * 2
    target = tmp_path / "out.jsonl"
    with caplog.at_level("WARNING", logger="xlingual"):
        predict_file(predictor, write(tmp_path / "in.jsonl", rows), target)
    for row, before in zip(read(target), rows, strict=True):
        assert {key: row[key] for key in before} == before
        assert {*row.values()} & {*LABELS}
    assert "xlingual_prediction, xlingual_probability" in caplog.text


def test_pairs(model, predictor, tmp_path):
    rows = [{"premise": a, "hypothesis": b} for a, b in POSITIVE]
    source = write(tmp_path / "in.jsonl", rows)
    expected = [a.label for a in predictor.predict([(r["premise"], r["hypothesis"]) for r in rows])]
    flags = ["--text_column=premise", "--text_pair_column=hypothesis", "--overwrite_output"]
    run_command(["predict", model, str(source), str(tmp_path / "out.jsonl"), *flags])
    assert [row["prediction"] for row in read(tmp_path / "out.jsonl")] == expected
    # A model that was trained on pairs looks for them by itself.
    trained = Predictor(
        predictor.session, predictor.tokenizer, label_names=LABELS, takes_pairs=True
    )
    predict_file(trained, source, tmp_path / "other.jsonl")
    assert [row["prediction"] for row in read(tmp_path / "other.jsonl")] == expected


def test_spans_tokens_and_several_labels(encoders, tmp_path):
    tags = ("O", "B-PER", "I-PER")
    folder = save_classifier(encoders["bert"], tmp_path / "t", labels=tags, kind="Token")
    source = write(tmp_path / "text.jsonl", [{"text": PEOPLE}, {"text": None}])
    run_command(["predict", str(folder), str(source), str(tmp_path / "spans.jsonl")])
    first, second = read(tmp_path / "spans.jsonl")
    assert first["prediction"]
    for span in first["prediction"]:
        assert span.keys() == {"start", "end", "text", "label", "probability"}
        assert PEOPLE[span["start"] : span["end"]] == span["text"]
    assert second == {"text": None, "prediction": None, "prediction_error": "row 2: no text"}
    source = write(tmp_path / "tokens.jsonl", [{"tokens": list(PEOPLE)}])
    run_command(["predict", str(folder), str(source), str(tmp_path / "tags.jsonl")])
    (row,) = read(tmp_path / "tags.jsonl")
    assert len(row["prediction_tags"]) == len(PEOPLE)
    folder = save_classifier(
        encoders["bert"],
        tmp_path / "m",
        labels=("a", "b", "c"),
        problem_type="multi_label_classification",
    )
    source = write(tmp_path / "in.jsonl", make_rows(9))
    run_command(["predict", str(folder), str(source), str(tmp_path / "labels.jsonl")])
    for row in read(tmp_path / "labels.jsonl"):
        assert len(row["prediction"]) == len(row["probability"])
        assert all(probability > 0.5 for probability in row["probability"])


def test_standard_input_and_output(model, tmp_path, monkeypatch, capsysbinary):
    rows = make_rows(20)
    source = write(tmp_path / "in.jsonl", rows)
    run_command(["predict", model, str(source), str(tmp_path / "out.jsonl")])
    content = b"\xef\xbb\xbf" + source.read_bytes() + b"\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="ascii"))
    capsysbinary.readouterr()
    run_command(["predict", model, "-", "-"])
    assert capsysbinary.readouterr().out == (tmp_path / "out.jsonl").read_bytes()


def test_long_texts_are_counted(model, tmp_path, caplog):
    source = write(tmp_path / "in.jsonl", [{"text": "床很舒服，" * 200}, {"text": "床"}])
    with caplog.at_level("WARNING", logger="xlingual"):
        run_command(["predict", model, str(source), str(tmp_path / "out.jsonl")])
    assert "1 text(s) longer than 66 tokens" in caplog.text
    assert [row.get("prediction_truncated") for row in read(tmp_path / "out.jsonl")] == [True, None]


def test_a_big5_file_without_a_header(model, tmp_path):
    source = tmp_path / "in.tsv"
    source.write_bytes("很喜歡這家飯店\t1\n房間太吵，睡不好\t0\n".encode("big5"))
    flags = ["--columns", "text,stars", "--encoding", "big5"]
    run_command(["predict", model, str(source), str(tmp_path / "out.jsonl"), *flags])
    rows = read(tmp_path / "out.jsonl")
    assert [(row["text"], row["stars"]) for row in rows] == [
        ("很喜歡這家飯店", "1"),
        ("房間太吵，睡不好", "0"),
    ]
    assert all(row["prediction"] for row in rows)


# Refusals


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("in.jsonl", '{"sentiment": "x"}\n', ColumnError),
        ("in.jsonl", "", DataError),
        ("in.xlsx", "PK", DataError),
        ("in.json", '[{"text": "床"}]', DataError),
        (None, "", DataError),
    ],
)
def test_inputs_that_cannot_be_predicted_leave_nothing(predictor, tmp_path, name, content, error):
    source = tmp_path / (name or "missing.jsonl")
    if name:
        source.write_text(content, encoding="utf-8")
    before = names_in(tmp_path)
    with pytest.raises(error):
        predict_file(predictor, source, tmp_path / "out.jsonl")
    assert names_in(tmp_path) == before


def test_outputs_that_must_not_be_written(predictor, tmp_path):
    source = write(tmp_path / "in.jsonl", make_rows(3))
    before = source.read_bytes()
    with pytest.raises(OutputError, match="the input itself"):
        predict_file(predictor, source, tmp_path / "." / "in.jsonl", overwrite=True)
    with pytest.raises(ConfigError, match=r"ends in \.jsonl, \.csv"):
        predict_file(predictor, source, tmp_path / "out.jsonl.gz")
    (tmp_path / "out.jsonl").write_text("precious", encoding="utf-8")
    with pytest.raises(OutputError, match="already exists"):
        predict_file(predictor, source, tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_text(encoding="utf-8") == "precious"
    predict_file(predictor, source, tmp_path / "out.jsonl", overwrite=True)
    assert len(read(tmp_path / "out.jsonl")) == 3
    with pytest.raises(OutputError, match="cannot write"):
        predict_file(predictor, source, source / "below a file" / "out.jsonl")
    with pytest.raises(ConfigError, match="cannot be resumed"):
        predict_file(predictor, "-", tmp_path / "other.jsonl", resume=True)
    assert source.read_bytes() == before


def test_one_line_and_exit_code_2(model, tmp_path, capsys):
    for argv in ([model, "missing.jsonl", "out.jsonl"], [str(tmp_path), "a.jsonl", "b.jsonl"]):
        with pytest.raises(SystemExit) as caught:
            cli.main(["predict", *argv])
        assert caught.value.code == cli.USER_ERROR
        assert capsys.readouterr().err.strip().splitlines()[-1].startswith("error: ")


def test_help(capsys):
    with pytest.raises(SystemExit) as caught:
        run_command(["predict", "--help"])
    assert caught.value.code == 0
    assert "--resume" in capsys.readouterr().out


# Killed, and resumed


class Killed(BaseException):
    """Stands for what no handler sees: the process is gone."""


def stop_after(predictor: Predictor, chunks: int) -> Predictor:
    """The same model, which dies when it is asked for one more chunk."""
    left = [chunks]
    run = predictor._predict_chunk

    def counted(rows):
        if not left[0]:
            raise Killed
        left[0] -= 1
        return run(rows)

    other = Predictor(
        predictor.session, predictor.tokenizer, label_names=LABELS,
        max_length=predictor.max_length, folder=predictor.folder,
    )  # fmt: skip
    other._predict_chunk = counted  # type: ignore[method-assign]
    return other


@pytest.fixture
def halves(predictor, tmp_path) -> tuple[Path, Path, Path]:
    """An input, its output of one go, and a target that was left after three chunks of 32."""
    source = write(tmp_path / "in.jsonl", make_rows(200))
    predict_file(predictor, source, tmp_path / "whole.jsonl", chunk_rows=32)
    target = tmp_path / "out.jsonl"
    with pytest.raises(Killed):
        predict_file(stop_after(predictor, 3), source, target, chunk_rows=32)
    assert not target.exists()
    return source, tmp_path / "whole.jsonl", target


@pytest.mark.parametrize("tail", [b"", b'{"text": "torn', b'{"text": "whole"}\n{"te', b"\0" * 9])
def test_a_resumed_output_is_the_same_byte_for_byte(predictor, halves, tail):
    """Whatever stood behind the last record when the process was gone."""
    source, whole, target = halves
    part = target.with_name("out.jsonl.part")
    assert part.read_bytes().count(b"\n") == 96
    part.write_bytes(part.read_bytes() + tail)
    seen: list[int] = []
    report = predict_file(
        predictor, source, target, chunk_rows=32, resume=True, on_progress=seen.append
    )
    assert target.read_bytes() == whole.read_bytes()
    assert (report.num_rows, report.num_resumed) == (200, 96)
    assert seen == [96, 32, 32, 32, 8]
    assert not [name for name in names_in(target.parent) if "part" in name]


def test_resuming_what_has_not_begun_begins(predictor, halves):
    source, whole, target = halves
    for name in ("out.jsonl.part", "out.jsonl.part.json"):
        target.with_name(name).unlink()
    predict_file(predictor, source, target, chunk_rows=32, resume=True)
    assert target.read_bytes() == whole.read_bytes()


def test_an_unfinished_output_is_not_lost_by_starting_again(predictor, halves):
    source, whole, target = halves
    with pytest.raises(OutputError, match="--resume"):
        predict_file(predictor, source, target, chunk_rows=32)
    predict_file(predictor, source, target, chunk_rows=32, overwrite=True)
    assert target.read_bytes() == whole.read_bytes()


def test_only_the_same_run_is_resumed(predictor, halves, encoders, tmp_path):
    source, whole, target = halves
    other = save_classifier(encoders["bert"], tmp_path / "other", labels=LABELS)
    with pytest.raises(OutputError, match="another model"):
        predict_file(
            Predictor.from_pretrained(other, device="cpu", max_length=66),
            source, target, chunk_rows=32, resume=True,
        )  # fmt: skip
    with pytest.raises(OutputError, match="another settings"):
        predict_file(predictor, source, target, chunk_rows=16, resume=True)
    content = source.read_bytes()
    source.write_bytes(content.replace("床".encode(), "椅".encode(), 1))
    with pytest.raises(OutputError, match="another input"):
        predict_file(predictor, source, target, chunk_rows=32, resume=True)
    source.write_bytes(content)
    part = target.with_name("out.jsonl.part")
    kept = part.read_bytes()
    part.write_bytes(kept[:-5])
    with pytest.raises(OutputError, match="something else changed it"):
        predict_file(predictor, source, target, chunk_rows=32, resume=True)
    part.write_bytes(kept)
    predict_file(predictor, source, target, chunk_rows=32, resume=True)
    assert target.read_bytes() == whole.read_bytes()


def test_two_processes_do_not_write_one_output(predictor, halves):
    source, whole, target = halves
    origin = json.loads(target.with_name("out.jsonl.part.json").read_text("utf-8"))["origin"]
    with part_file.PartFile(target, origin=origin, resume=True, overwrite=False):
        for flag in ({"resume": True}, {"overwrite": True}):
            with pytest.raises(OutputError, match="another process"):
                predict_file(predictor, source, target, chunk_rows=32, **flag)
    predict_file(predictor, source, target, chunk_rows=32, resume=True)
    assert target.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("call", [1, 4, 5, 6])
def test_a_full_disk_keeps_what_is_done(predictor, tmp_path, monkeypatch, call):
    """Refused at the record, in a chunk, at the record behind it: never a row lost or doubled."""
    source, target = write(tmp_path / "in.jsonl", make_rows(100)), tmp_path / "out.jsonl"
    calls = [0]

    def full(descriptor: int) -> None:
        calls[0] += 1
        if calls[0] >= call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(part_file.os, "fsync", full)
        with pytest.raises(OutputError, match=r"No space left.*--resume"):
            predict_file(predictor, source, target, chunk_rows=10)
    assert not target.exists()
    predict_file(predictor, source, target, chunk_rows=10, resume=True)
    predict_file(predictor, source, tmp_path / "whole.jsonl", chunk_rows=10)
    assert target.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


@pytest.mark.slow
def test_a_killed_process_is_resumed(model, predictor, tmp_path):
    source = write(tmp_path / "in.jsonl", make_rows(4_000))
    target, part = tmp_path / "out.jsonl", tmp_path / "out.jsonl.part"
    command = [warm_python(), "-m", "xlingual.cli", "predict", model, str(source), str(target)]
    command += ["--chunk_rows=100", "--device=cpu"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if part.exists() and part.read_bytes().count(b"\n") >= 1_000:
            break
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    num_before = part.read_bytes().count(b"\n")
    assert 1_000 <= num_before < 4_000
    assert not target.exists()
    resumed = subprocess.run(
        [*command, "--resume"], env=environment, capture_output=True, text=True, timeout=240
    )
    assert resumed.returncode == 0, resumed.stderr
    assert "rows had been predicted before" in resumed.stderr
    assert "rows/s" in resumed.stderr
    predict_file(predictor, source, tmp_path / "whole.jsonl", chunk_rows=100)
    assert [row["编号"] for row in read(target)] == list(range(4_000))
    assert target.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(predictor, tmp_path):
    """Four times the rows, the same peak; a model that answers at once, so that rows are many."""

    def session(batch):
        return np.zeros((len(batch["input_ids"]), 2), dtype="float32")

    quick = Predictor(session, predictor.tokenizer, label_names=LABELS)
    peaks = []
    for number in (1_000, 5_000, 20_000):  # the first fills the caches of libraries
        source = write(tmp_path / f"{number}.jsonl", make_rows(number))
        tracemalloc.start()
        predict_file(quick, source, tmp_path / f"{number}.out.jsonl", chunk_rows=500)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.2 * peaks[1]
