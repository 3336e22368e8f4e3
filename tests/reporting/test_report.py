"""The files of a run, and the folder they go into."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import yaml
from datasets import Dataset

from xlingual import (
    DataArguments,
    LabelPredictions,
    LabelSpace,
    ModelArguments,
    TransferArguments,
    TransferReport,
    get_task,
    parse_arguments,
    prepare_output_dir,
    write_report,
)
from xlingual.errors import ConfigError, OutputError
from xlingual.evaluation import score_set

SPACE = LabelSpace(("差评", "好评"))
TEXTS = ["房间很脏，还有味道。", "服務很好，WiFi 也快", "还行吧", "再也不来了"]


def arguments(folder: Path | str, **settings: object) -> TransferArguments:
    return TransferArguments(output_dir=str(folder), **settings)


@pytest.fixture
def report() -> TransferReport:
    probs = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.75, 0.25]])
    output = LabelPredictions(np.array([0, 1, -100, 1]), probs.argmax(axis=1), probs)
    scores = [
        score_set(name, output, task=get_task("sequence"), label_space=SPACE)
        for name in ("en", "zh_酒店")
    ]
    return TransferReport(
        task=get_task("sequence"),
        label_space=SPACE,
        source=scores[:1],
        targets=scores[1:],
        selection="last",
        costs={"train_runtime": 1.25},
    )


def test_results_are_flat_readable_utf8(tmp_path, report) -> None:
    write_report(tmp_path, report)
    text = (tmp_path / "all_results.json").read_text(encoding="utf-8")
    assert '"eval_zh_酒店_f1_好评"' in text
    assert "\\u" not in text
    results = json.loads(text)
    assert results == json.loads(json.dumps(report.results()))
    assert {type(value) for value in results.values()} <= {float, int, str, list}
    wanted = {"eval_en_accuracy", "eval_zh_酒店_accuracy_low", "transfer_gap", "worst_target"}
    assert wanted <= results.keys()
    assert results["train_runtime"] == 1.25


def test_the_config_is_readable_and_holds_no_secret(tmp_path, report) -> None:
    args = arguments(
        tmp_path / "输出", seed=7, hub_token="hf_secret", learning_rate=1e-5, adapter="lora"
    )
    data = DataArguments(source_train="酒店=评论.csv*2", label_map="1=好评,0=差评")
    write_report(tmp_path, report, ModelArguments("org/模型"), data, args)
    text = (tmp_path / "run_config.yaml").read_text(encoding="utf-8")
    assert "hf_secret" not in text
    assert "source_train: 酒店=评论.csv*2" in text
    config = yaml.safe_load(text)
    assert (config["seed"], config["learning_rate"], config["adapter"]) == (7, 1e-5, "lora")
    assert config["model_name_or_path"] == "org/模型"
    assert config["output_dir"].endswith("输出")
    assert list(config) == sorted(config)
    assert [key for key in config if key.endswith("token")] == []


def test_the_config_can_be_given_back(tmp_path, report) -> None:
    kinds = (ModelArguments, DataArguments, TransferArguments)
    flags = [
        f"--output_dir={tmp_path}",
        "--label_map=1=好评,0=差评",
        "--adapter_target_modules",
        "Wqkv",
        "Wo",
        "--learning_rate=1e-5",
        "--warmup_steps=0.1",
        "--freeze_embeddings=false",
        "--save_strategy=no",
    ]
    first = parse_arguments(flags, *kinds)
    write_report(tmp_path, report, *first)
    again = parse_arguments(["--config", str(tmp_path / "run_config.yaml")], *kinds)
    for one, other in zip(first, again, strict=True):
        assert vars(one).keys() == vars(other).keys()
        changed = {
            name
            for name in vars(one)
            if vars(one)[name] != vars(other)[name] and "distributed_state" not in name
        }
        assert changed - {"accelerator_config", "_n_gpu", "deepspeed_plugin"} == set()


def test_predictions_stand_beside_their_texts(tmp_path, report) -> None:
    rows = {
        "zh_酒店": Dataset.from_dict(
            {"text": TEXTS, "label": ["x"] * 4, "domain_name": ["酒店"] * 4, "weight": [1.0] * 4}
        )
    }
    write_report(tmp_path, report, rows=rows)
    text = (tmp_path / "predictions_zh_酒店.jsonl").read_text(encoding="utf-8")
    assert "\\u" not in text
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["text"] for line in lines] == TEXTS
    assert lines[0] == {
        "text": TEXTS[0],
        "domain_name": "酒店",
        "label": "差评",
        "prediction": "差评",
        "probability": 0.9,
        "probabilities": {"差评": 0.9, "好评": 0.1},
    }
    assert [line["label"] for line in lines] == ["差评", "好评", None, "好评"]
    assert [line["prediction"] for line in lines] == ["差评", "好评", "好评", "差评"]
    bare = (tmp_path / "predictions_en.jsonl").read_text(encoding="utf-8").splitlines()
    assert list(json.loads(bare[0])) == ["label", "prediction", "probability", "probabilities"]


def test_predictions_of_several_labels(tmp_path) -> None:
    output = LabelPredictions(
        np.array([[1, 0], [0, 0], [-100, -100]]),
        np.array([[1, 1], [0, 0], [0, 1]]),
        np.array([[0.9, 0.6], [0.1, 0.2], [0.3, 0.7]]),
    )
    task = get_task("multi_label")
    scores = score_set("zh", output, task=task, label_space=SPACE)
    several = TransferReport(
        task=task, label_space=SPACE, source=[], targets=[scores], selection="last"
    )
    write_report(tmp_path, several, rows={"zh": Dataset.from_dict({"text": TEXTS[:3]})})
    lines = (tmp_path / "predictions_zh.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    assert [line["prediction"] for line in found] == [["差评", "好评"], [], ["好评"]]
    assert [line["label"] for line in found] == [["差评"], [], None]
    assert found[0]["probabilities"] == {"差评": 0.9, "好评": 0.6}


def test_a_new_folder_is_made(tmp_path) -> None:
    assert prepare_output_dir(arguments(tmp_path / "深" / "处")) is None
    assert (tmp_path / "深" / "处").is_dir()


def test_an_empty_folder_or_one_with_rejected_rows_is_taken(tmp_path) -> None:
    assert prepare_output_dir(arguments(tmp_path)) is None
    (tmp_path / "rejected_rows.jsonl").write_text("{}\n", encoding="utf-8")
    assert prepare_output_dir(arguments(tmp_path)) is None


def test_a_file_is_no_folder(tmp_path) -> None:
    (tmp_path / "model").write_text("x", encoding="utf-8")
    with pytest.raises(OutputError, match="is a file; give a folder"):
        prepare_output_dir(arguments(tmp_path / "model"))
    with pytest.raises(OutputError, match="cannot be made"):
        prepare_output_dir(arguments(tmp_path / "model" / "below"))


def test_nothing_is_overwritten_unasked(tmp_path) -> None:
    (tmp_path / "all_results.json").write_text("旧的", encoding="utf-8")
    with pytest.raises(OutputError) as caught:
        prepare_output_dir(arguments(tmp_path))
    message = str(caught.value)
    assert "is not empty, and nothing is overwritten unasked" in message
    assert "--resume_from_checkpoint true" in message
    assert "--overwrite_output true" in message
    assert (tmp_path / "all_results.json").read_text(encoding="utf-8") == "旧的"


def test_overwriting_removes_old_checkpoints_alone(tmp_path) -> None:
    """A checkpoint of an earlier run would be taken for one of this run."""
    (tmp_path / "checkpoint-7").mkdir()
    (tmp_path / "笔记.txt").write_text("留着", encoding="utf-8")
    assert prepare_output_dir(arguments(tmp_path, overwrite_output=True)) is None
    assert {path.name for path in tmp_path.iterdir()} == {"笔记.txt"}


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 0)() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written(tmp_path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="cannot be written; check its permissions"):
            prepare_output_dir(arguments(tmp_path))
        with pytest.raises(OutputError, match="cannot be made"):
            prepare_output_dir(arguments(tmp_path / "below"))
    finally:
        tmp_path.chmod(0o700)


def test_a_folder_that_says_it_cannot_be_written(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(OutputError, match="cannot be written; check its permissions"):
        prepare_output_dir(arguments(tmp_path))


def checkpoint(folder: Path, step: int) -> Path:
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "trainer_state.json").write_text(json.dumps({"global_step": step}), encoding="utf-8")
    for name in ("model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth"):
        (path / name).write_bytes(b"x")
    return path


def test_resuming_takes_the_last_checkpoint(tmp_path) -> None:
    for step in (9, 100, 20):
        checkpoint(tmp_path, step)
    for value in ("true", "True"):
        args = arguments(tmp_path, resume_from_checkpoint=value)
        assert prepare_output_dir(args) == str(tmp_path / "checkpoint-100")
    assert len(list(tmp_path.iterdir())) == 3


def test_resuming_from_a_checkpoint_that_is_named(tmp_path) -> None:
    path = str(checkpoint(tmp_path, 9))
    checkpoint(tmp_path, 20)
    assert prepare_output_dir(arguments(tmp_path, resume_from_checkpoint=path)) == path


def test_resuming_before_the_first_checkpoint_begins_anew(tmp_path) -> None:
    (tmp_path / "runs.log").write_text("killed", encoding="utf-8")
    assert prepare_output_dir(arguments(tmp_path, resume_from_checkpoint="true")) is None


def test_resuming_wins_over_overwriting(tmp_path) -> None:
    path = checkpoint(tmp_path, 3)
    args = arguments(tmp_path, resume_from_checkpoint="true", overwrite_output=True)
    assert prepare_output_dir(args) == str(path)
    assert path.exists()


def test_a_checkpoint_that_is_not_there(tmp_path) -> None:
    args = arguments(tmp_path, resume_from_checkpoint=str(tmp_path / "checkpoint-5"))
    with pytest.raises(ConfigError, match=r"checkpoint-5: expected true, or a checkpoint-N folder"):
        prepare_output_dir(args)
