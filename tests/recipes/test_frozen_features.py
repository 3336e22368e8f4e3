"""``frozen_features``: what is saved is what was reported, and what cannot be saved is said."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tests.recipes.commands import read_rows, results_of, write_rows
from xlingual.transfer.model.linear_head import FROZEN_CLASSIFIERS


def start(run, files, out, *flags: str) -> None:
    run(
        "frozen_features", *files.flags("source_train", "target_test"),
        f"--source_validation={files.en}", f"--output_dir={out}", *flags,
    )  # fmt: skip


def assert_the_folder_predicts_the_report(folder) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for row in read_rows(folder / "predictions_zh.jsonl"):
        with torch.no_grad():
            probs = model(**tokenizer(row["text"], return_tensors="pt")).logits.softmax(-1)[0]
        named = {model.config.id2label[i]: float(p) for i, p in enumerate(probs)}
        assert named == pytest.approx(row["probabilities"], abs=1e-3)
        assert max(named, key=named.__getitem__) == row["prediction"]


@pytest.mark.parametrize("classifier", FROZEN_CLASSIFIERS)
def test_the_saved_folder_predicts_what_was_reported(run, files, tmp_path, classifier) -> None:
    out = tmp_path / "out"
    start(
        run, files, out, f"--classifier={classifier}", "--num_components=24",
        f"--target_unlabeled={files.zh}", "--centring=true",
    )  # fmt: skip
    results = results_of(out)
    assert results["eval_en_accuracy"] > 0.7  # trained on these rows
    assert results["encode_seconds"] > 0
    assert results["fit_seconds"] > 0
    assert_the_folder_predicts_the_report(out)


def test_labels_of_the_unlabelled_text_change_nothing(run, files, tmp_path) -> None:
    rows = read_rows(files.folder / "zh.jsonl")
    poisoned = [{**row, "label": "positive"} for row in rows]
    path = write_rows(files.folder / "poisoned.jsonl", poisoned)
    start(run, files, tmp_path / "a", f"--target_unlabeled={files.zh}", "--centring=true")
    start(run, files, tmp_path / "b", f"--target_unlabeled={path}", "--centring=true")
    first, second = (read_rows(tmp_path / name / "predictions_zh.jsonl") for name in "ab")
    assert first == second


def test_centring_moves_the_target_and_not_the_source(run, files, tmp_path) -> None:
    unlabeled = f"--target_unlabeled={files.zh}"
    start(run, files, tmp_path / "on", unlabeled, "--centring=true")
    start(run, files, tmp_path / "off", unlabeled, "--centring=false")
    for name, is_same in (("en", True), ("zh", False)):
        on, off = (
            np.array([list(row["probabilities"].values()) for row in read_rows(folder)])
            for folder in (tmp_path / side / f"predictions_{name}.jsonl" for side in ("on", "off"))
        )
        assert np.allclose(on, off) is is_same


def test_a_fine_tuned_classifier_keeps_its_head_below_the_output(run, files, tmp_path) -> None:
    run("zero_shot", *files.flags("source_train"), f"--output_dir={tmp_path / 'tuned'}")
    start(run, files, tmp_path / "out", f"--model_name_or_path={tmp_path / 'tuned'}")
    assert_the_folder_predicts_the_report(tmp_path / "out")


@pytest.mark.parametrize("fusion", ["concatenate", "gate"])
def test_two_encoders_leave_results_and_say_that_no_model(
    run, files, encoders, tmp_path, caplog, fusion, monkeypatch
) -> None:
    monkeypatch.setattr("xlingual.cli.exits.set_up_logging", lambda: None)
    with caplog.at_level(logging.WARNING, logger="xlingual"):
        start(
            run, files, tmp_path, f"--second_model={encoders['bert']}", f"--fusion={fusion}",
            "--overwrite_output=true",
        )  # fmt: skip
    assert "two encoders fit no single model class" in caplog.text
    assert results_of(tmp_path)["eval_zh_rows"] == 13
    assert not (tmp_path / "model.safetensors").exists()


def test_a_random_pooler_is_not_read(run, files, encoders, tmp_path, capsys) -> None:
    start(
        run, files, tmp_path, f"--model_name_or_path={encoders['xlm-r']}", "--overwrite_output=true"
    )
    assert "no model" in capsys.readouterr().out
    assert results_of(tmp_path)["eval_en_accuracy"] > 0.9
    assert not (tmp_path / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--classifier=svm", "logistic_regression"),
        ("--fusion=sum", "concatenate, gate"),
        ("--strength=0", "above 0"),
        ("--num_components=0", "at least 1"),
        ("--task=multi_label", "single-label"),
    ],
)
def test_wrong_flags_end_in_one_line(run, files, tmp_path, capsys, flag, message) -> None:
    with pytest.raises(SystemExit) as ended:
        start(run, files, tmp_path / "out", flag)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--self_training=true", "--co_training=true"])
def test_no_target_label_is_read_and_the_folder_serves_the_target(tmp_path, run, files, flag):
    texts = read_rows(files.folder / "zh.jsonl") * 25  # 300 rows, what co-training asks for
    flipped = {"positive": "negative", "negative": "positive"}
    clean = write_rows(files.folder / "clean.jsonl", [{"text": row["text"]} for row in texts])
    poisoned = write_rows(
        files.folder / "poisoned.jsonl",
        [{"text": row["text"], "label": flipped[row["label"]]} for row in texts],
    )
    for name, path in (("clean", clean), ("poisoned", poisoned)):
        start(run, files, tmp_path / name, flag, f"--target_unlabeled={path}")
    start(run, files, tmp_path / "plain")
    plain = load_file(tmp_path / "plain" / "model.safetensors")
    heads = [load_file(tmp_path / n / "model.safetensors") for n in ("clean", "poisoned")]
    assert not torch.equal(heads[0]["classifier.weight"], plain["classifier.weight"])
    assert all(torch.equal(heads[0][name], heads[1][name]) for name in heads[0])
    assert_the_folder_predicts_the_report(tmp_path / "clean")


def test_one_change_of_the_targets_head_at_a_time(tmp_path, run, files, capsys):
    with pytest.raises(SystemExit) as exit_:
        start(run, files, tmp_path / "out", "--self_training=true", "--centring=true")
    assert exit_.value.code == 2
    assert "keep one" in capsys.readouterr().err


def test_the_length_that_was_read_is_written_down(tmp_path, run, files):
    start(run, files, tmp_path / "out")
    settings = yaml.safe_load((tmp_path / "out" / "run_config.yaml").read_text(encoding="utf-8"))
    assert settings["max_length"] == 66, "the positions of the tiny encoder, not 128"
