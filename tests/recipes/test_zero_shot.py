"""``zero_shot`` with target text: the estimated accuracy, and the correction of class shares."""

from __future__ import annotations

import json
import runpy

import numpy as np
import pytest
from safetensors.torch import load_file
from transformers import pipeline

from tests.recipes.commands import RECIPES, read_rows, results_of, write_rows
from tests.recipes.test_results import check_files
from tests.recipes.test_resume import same_bits
from xlingual import DataArguments, ModelArguments, TransferArguments, ZeroShotArguments
from xlingual.transfer import LabelShift

pytestmark = pytest.mark.slow


@pytest.fixture
def text(files) -> str:
    rows = [{"text": row["text"]} for row in read_rows(files.folder / "zh.jsonl")]
    return write_rows(files.folder / "text.jsonl", rows * 2)


def start(run, files, out, *flags: str) -> None:
    run(
        "zero_shot", f"--output_dir={out}", f"--source_validation={files.en}",
        *files.flags("source_train", "target_test"), *flags,
    )  # fmt: skip


def test_r_drop_moves_a_model_without_dropout(tmp_path, run, files, capsys):
    for weight in (0, 1):
        start(run, files, tmp_path / str(weight), f"--r_drop_weight={weight}")
    assert not same_bits(tmp_path / "0", tmp_path / "1")
    with pytest.raises(SystemExit) as stopped:
        start(run, files, tmp_path / "out", "--r_drop_weight=-1")
    assert stopped.value.code == 2
    assert "--r_drop_weight must be at least 0; got -1" in capsys.readouterr().err


def test_typed_arguments_give_the_same_run_as_flags(tmp_path, run, files, encoder, capsys):
    start(run, files, tmp_path / "flags", "--save_strategy=no")
    said = capsys.readouterr().out
    recipe = runpy.run_path(str(RECIPES / "zero_shot.py"))
    report = recipe["main"](
        ModelArguments(encoder),
        DataArguments(source_train=files.en, source_validation=files.en, target_test=files.zh_test),
        ZeroShotArguments(),
        TransferArguments(
            output_dir=str(tmp_path / "typed"),
            max_steps=2,
            per_device_train_batch_size=8,
            precision="fp32",
            freeze_embeddings=False,
            save_strategy="no",
            disable_tqdm=True,
        ),
    )
    assert same_bits(tmp_path / "flags", tmp_path / "typed")
    by_flags = results_of(tmp_path / "flags")
    assert report.results()["eval_zh_accuracy"] == by_flags["eval_zh_accuracy"]
    assert said.splitlines()[-1] == f"saved: {tmp_path / 'flags'}"
    assert capsys.readouterr().out.splitlines()[-1] == f"saved: {tmp_path / 'typed'}"


def test_the_estimate_is_printed_and_kept(tmp_path, run, files, text, capsys):
    start(run, files, tmp_path / "plain")
    assert "estimated" not in capsys.readouterr().out
    start(run, files, tmp_path / "out", f"--target_unlabeled={text}")
    said = capsys.readouterr().out
    results = check_files(tmp_path / "out")
    value, low, high = (results[f"estimated_zh_accuracy{end}"] for end in ("", "_low", "_high"))
    assert 0 <= low < value < high <= 1
    assert f"estimated zh accuracy (no label read): {100 * value:.1f} [" in said
    assert "off by 5 to 10 points" in said
    assert same_bits(tmp_path / "plain", tmp_path / "out")
    assert "label_shift_corrected" not in results


def test_labels_in_the_text_change_nothing(tmp_path, run, files, text):
    rows = read_rows(files.folder / "text.jsonl")
    wrong = [{**row, "label": "negative"} for row in rows]
    paths = {"a": text, "b": write_rows(files.folder / "wrong.jsonl", wrong)}
    for name, path in paths.items():
        start(run, files, tmp_path / name, f"--target_unlabeled={path}")
    estimates = [
        {k: v for k, v in results_of(tmp_path / name).items() if k.startswith("estimated")}
        for name in paths
    ]
    assert len(estimates[0]) == 3
    assert json.dumps(estimates[0]) == json.dumps(estimates[1])


def test_without_validation_rows_it_says_so(tmp_path, run, files, text, capsys):
    """A tenth of so few source rows is too little to estimate from."""
    out = tmp_path / "out"
    flags = files.flags("source_train")
    run("zero_shot", f"--output_dir={out}", f"--target_unlabeled={text}", *flags)
    assert "no estimate of the target accuracy: it needs 20" in capsys.readouterr().out
    assert "estimated_zh_accuracy" not in results_of(out)


def test_too_little_text_leaves_the_model_alone(tmp_path, run, files, text, capsys):
    start(run, files, tmp_path / "plain")
    flags = (f"--target_unlabeled={text}", "--correct_label_shift=true")
    start(run, files, tmp_path / "out", *flags)
    assert "left as it is; 24 target rows are fewer than 200" in capsys.readouterr().out
    assert results_of(tmp_path / "out")["label_shift_corrected"] == 0
    assert same_bits(tmp_path / "plain", tmp_path / "out")


@pytest.mark.parametrize("adapter", ["none", "lora"])
def test_a_correction_is_in_the_saved_folder(tmp_path, run, files, text, monkeypatch, adapter):
    move, prior = np.array([0.75, -0.75]), np.array([0.5, 0.5])
    found = LabelShift(prior, prior, 0.5, 0.1, move, move, True, "estimated class shares ...")
    monkeypatch.setattr(
        "xlingual.reporting.target_estimate.correct_label_shift", lambda **rows: found
    )
    start(run, files, tmp_path / "plain", f"--adapter={adapter}")
    flags = (f"--target_unlabeled={text}", "--correct_label_shift=true", f"--adapter={adapter}")
    out = tmp_path / "out"
    start(run, files, out, *flags)
    for name, moved in (("en", 0.0), ("zh", 1.5)):
        odds = [
            [np.log(row["probabilities"]["negative"] / row["probabilities"]["positive"]) for row in
             read_rows(folder / f"predictions_{name}.jsonl")]
            for folder in (tmp_path / "plain", out)
        ]  # fmt: skip
        np.testing.assert_allclose(np.subtract(*odds[::-1]), moved, atol=1e-4)
    classify = pipeline("text-classification", model=str(out), device="cpu", top_k=None)
    for row in read_rows(out / "predictions_zh.jsonl")[:3]:
        answers = {answer["label"]: answer["score"] for answer in classify([row["text"]])[0]}
        assert answers == pytest.approx(row["probabilities"], abs=1e-3)
    if adapter == "none":
        weights = [load_file(f / "model.safetensors") for f in (tmp_path / "plain", out)]
        changed = {name for name in weights[0] if not weights[0][name].equal(weights[1][name])}
        assert changed == {"classifier.bias"}


def test_the_correction_needs_text(tmp_path, run, files, capsys):
    with pytest.raises(SystemExit) as ended:
        start(run, files, tmp_path / "out", "--correct_label_shift=true")
    assert ended.value.code == 2
    assert "--target_unlabeled" in capsys.readouterr().err
