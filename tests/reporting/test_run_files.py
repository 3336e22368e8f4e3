"""The files that a run writes beside its model."""

from __future__ import annotations

import json
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
    write_report,
)
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
    write_report(tmp_path, report, model_args=ModelArguments("org/模型"), data_args=data, args=args)
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
    names = ("model_args", "data_args", "args")
    write_report(tmp_path, report, **dict(zip(names, first, strict=True)))
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
