"""Each recipe, run as users run it, leaves the files that it promises, and they are right."""

from __future__ import annotations

import json
import math

import pytest
import yaml
from safetensors.torch import load_file

from tests.recipes.commands import read_rows, results_of

MODEL_FILES = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
RESULT_FILES = {"all_results.json", "run_config.yaml", "predictions_en.jsonl"}
SCORES = ("accuracy", "macro_f1", "f1_negative", "precision_positive", "recall_positive")
COSTS = ("train_runtime", "train_samples_per_second", "trainable_parameters", "peak_memory_mib")

pytestmark = pytest.mark.slow


def check_files(folder, *, targets=("zh",)):
    """The files of a finished run; returns its results."""
    there = {path.name for path in folder.iterdir()}
    assert there >= MODEL_FILES | RESULT_FILES | {f"predictions_{name}.jsonl" for name in targets}
    results = results_of(folder)
    for name in ("en", *targets):
        for score in SCORES:
            keys = [f"eval_{name}_{score}{end}" for end in ("_low", "", "_high")]
            low, value, high = (results[key] for key in keys)
            assert 0 <= low <= value <= high <= 1, keys
        rows = read_rows(folder / f"predictions_{name}.jsonl")
        right = sum(row["label"] == row["prediction"] for row in rows) / len(rows)
        assert results[f"eval_{name}_rows"] == len(rows)
        assert results[f"eval_{name}_accuracy"] == pytest.approx(right)
        assert 0.5 <= results[f"eval_{name}_majority_accuracy"] <= 1
        assert sum(map(sum, results[f"eval_{name}_confusion_matrix"])) == len(rows)
    mean = sum(results[f"eval_{name}_accuracy"] for name in targets) / len(targets)
    assert results["target_mean"] == pytest.approx(mean)
    assert results["transfer_gap"] == pytest.approx(results["eval_en_accuracy"] - mean)
    assert results["worst_target"] in targets
    assert all(math.isfinite(results[key]) and results[key] > 0 for key in COSTS)
    return results


def check_predictions(folder, name="zh"):
    for row in read_rows(folder / f"predictions_{name}.jsonl"):
        assert row["text"]
        assert row["label"] in row["probabilities"]
        assert row["prediction"] == max(row["probabilities"], key=row["probabilities"].get)
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_zero_shot_on_the_embedded_corpus(tmp_path, run, capsys):
    run("zero_shot", f"--output_dir={tmp_path}/out", "--seed=7")
    results = check_files(tmp_path / "out")
    check_predictions(tmp_path / "out")
    assert results["eval_zh_rows"] == 300
    assert results["label_names"] == ["negative", "positive"]
    assert results["selection"] == "last"
    printed = capsys.readouterr()
    assert "running on the embedded corpus" in printed.err
    for words in ("majority", "transfer gap", f"{100 * results['eval_zh_accuracy']:.1f}", "saved"):
        assert words in printed.out


def test_zero_shot_on_files_names_the_labels_as_the_source_does(tmp_path, run, files):
    out = tmp_path / "out"
    run("zero_shot", f"--output_dir={out}", *files.flags("source_train", "target_test"))
    results = check_files(out)
    check_predictions(out)
    assert results["eval_zh_rows"] == 13
    assert {row["label"] for row in read_rows(out / "predictions_zh.jsonl")} == {
        "negative",
        "positive",
    }


def test_the_resolved_config_repeats_the_run(tmp_path, run, files):
    first, again = tmp_path / "first", tmp_path / "again"
    flags = files.flags("source_train", "target_test")
    run("zero_shot", f"--output_dir={first}", "--seed=3", "--learning_rate=1e-3", *flags)
    config = yaml.safe_load((first / "run_config.yaml").read_text(encoding="utf-8"))
    assert (config["seed"], config["learning_rate"], config["max_steps"]) == (3, 1e-3, 2)
    assert config["head_learning_rate"] > 0, "what was left open stands there as it was resolved"
    assert config["source_train"] == files.en
    run("zero_shot", f"--config={first / 'run_config.yaml'}", f"--output_dir={again}")
    first_weights, weights = (load_file(path / "model.safetensors") for path in (first, again))
    assert all((weights[name] == tensor).all() for name, tensor in first_weights.items())


def test_zero_shot_reads_no_target_label_before_the_end(tmp_path, run, files):
    """The weights are the same whatever the labels of the target files say."""
    ends = []
    for name, label_map in (("straight", ""), ("swapped", "好评=negative,差评=positive")):
        out = tmp_path / name
        run(
            "zero_shot",
            f"--output_dir={out}",
            *files.flags("source_train"),
            f"--target_test={files.zh_other if label_map else files.zh_test}",
            f"--target_validation={files.zh_other if label_map else files.zh}",
            *([f"--label_map={label_map}"] if label_map else []),
        )
        ends.append((out / "model.safetensors").read_bytes())
    assert ends[0] == ends[1]


@pytest.mark.parametrize("regime", ["joint", "sequential"])
def test_few_shot_keeps_one_of_its_two_models(tmp_path, run, files, capsys, regime):
    out = tmp_path / "out"
    run(
        "few_shot",
        f"--output_dir={out}",
        f"--regime={regime}",
        "--shots_per_label=4",
        "--save_strategy=steps",
        "--save_steps=2",
        *files.flags("source_train", "target_train", "target_test"),
    )
    check_files(out)
    said = capsys.readouterr().err
    assert "held-out shots: zero-shot is right on" in said
    kept = "few_shot" if "the few-shot model is kept" in said else "zero_shot"
    checkpoint = load_file(out / kept / "checkpoint-2" / "model.safetensors")
    saved = load_file(out / "model.safetensors")
    assert all((saved[name] == tensor).all() for name, tensor in checkpoint.items())


def test_few_shot_with_other_target_labels_swaps_the_head(tmp_path, run, files, capsys):
    out = tmp_path / "out"
    run(
        "few_shot",
        f"--output_dir={out}",
        "--regime=sequential",
        "--shots_per_label=4",
        *files.flags("source_train"),
        f"--target_train={files.zh_other}",
        f"--target_test={files.zh_other}",
    )
    results = results_of(out)
    assert results["label_names"] == ["好评", "差评"]
    assert "eval_zh_accuracy" in results
    assert "the head is swapped" in capsys.readouterr().err
    assert "eval_en_accuracy" not in results  # the English labels mean nothing to this head
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    assert config["id2label"] == {"0": "好评", "1": "差评"}
    assert {row["prediction"] for row in read_rows(out / "predictions_zh.jsonl")} <= {
        "好评",
        "差评",
    }


def test_joint_with_two_weighted_sources_and_two_targets(tmp_path, run, files):
    out = tmp_path / "out"
    run(
        "joint",
        f"--output_dir={out}",
        f"--source_train=books={files.en}*0.5,films={files.en}",
        f"--source_validation={files.en}",
        f"--target_train=hotel={files.zh}*2,inn={files.zh_test}",
        f"--target_test=hotel={files.zh_test},inn={files.zh}",
        "--target_share=0.5",
    )
    results = check_files(out, targets=("zh_hotel", "zh_inn"))
    assert results["eval_zh_inn_rows"] == 12
    check_predictions(out, "zh_hotel")


def test_joint_weights_change_the_model(tmp_path, run, files):
    ends = []
    for weight in ("1", "1", "5"):
        out = tmp_path / f"out{len(ends)}"
        data = [f"--target_train={files.zh}*{weight}", *files.flags("source_train", "target_test")]
        run("joint", f"--output_dir={out}", *data)
        ends.append((out / "model.safetensors").read_bytes())
    assert ends[0] == ends[1]
    assert ends[0] != ends[2]


def test_oracle_selection_is_written_into_the_results(tmp_path, run, files, capsys):
    out = tmp_path / "out"
    run(
        "zero_shot",
        f"--output_dir={out}",
        "--selection=target_dev",
        f"--target_validation={files.zh}",
        *files.flags("source_train", "target_test"),
    )
    assert results_of(out)["selection"] == "target_dev"
    assert "ORACLE" in capsys.readouterr().out


def test_an_overwritten_run_leaves_nothing_that_would_be_loaded(tmp_path, run, files):
    """A full model in a folder that held an adapter would be read with the old adapter on top."""
    from transformers import AutoModelForSequenceClassification

    out = tmp_path / "out"
    flags = [f"--output_dir={out}", "--overwrite_output", *files.flags("source_train")]
    run("zero_shot", *flags, f"--target_test=old={files.zh},{files.zh_test}", "--adapter=lora")
    run("zero_shot", *flags, f"--target_test={files.zh_test}")
    loaded = AutoModelForSequenceClassification.from_pretrained(out).state_dict()
    saved = load_file(out / "model.safetensors")
    assert loaded.keys() == saved.keys()
    assert all((saved[name] == tensor).all() for name, tensor in loaded.items())
    assert {path.name for path in out.glob("predictions_*")} == {
        "predictions_en.jsonl",
        "predictions_zh.jsonl",
    }
