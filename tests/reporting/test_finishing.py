"""The end of a run: what is saved, evaluated, written, said and pushed, and in which order."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import yaml

from xlingual import (
    DataArguments,
    LabelSpace,
    ModelArguments,
    TransferArguments,
    TransferData,
    TransferTrainer,
    ZeroShotArguments,
    finish_run,
    get_task,
)
from xlingual.errors import OutputError
from xlingual.reporting import finishing

SPACE = LabelSpace(("negative", "positive"))


@pytest.fixture
def data(english, chinese) -> TransferData:
    return TransferData(
        get_task("sequence"),
        SPACE,
        SPACE,
        source_validation={"products": english},
        target_test={"酒店": chinese, "书": chinese.select([0, 1])},
        arguments=DataArguments(target_test="酒店=hotel.zh.jsonl,书=books.zh.jsonl"),
    )


@pytest.fixture
def args(tmp_path) -> TransferArguments:
    return TransferArguments(output_dir=str(tmp_path / "out"), precision="fp32", seed=9)


@pytest.fixture
def trainer(args, encoder) -> TransferTrainer:
    """One stage of the run; it knows what the run has left open."""
    return TransferTrainer(
        encoder, args.for_stage("student", learning_rate=0.25), label_space=SPACE
    )


def test_the_kept_model_is_saved_evaluated_and_reported(tmp_path, encoder, trainer, data, args):
    said: list[str] = []
    model_args, method_args = ModelArguments(encoder), ZeroShotArguments(r_drop_weight=1.0)
    report = finish_run(trainer, data, args, model_args, method_args, say=said.append)
    assert [scores.name for scores in report.sets] == ["en", "zh_酒店", "zh_书"]
    assert said == [report.table(), f"saved: {tmp_path / 'out'}"]
    out = tmp_path / "out"
    names = {path.name for path in out.iterdir()}
    assert {"model.safetensors", "README.md", "predictions_zh_酒店.jsonl"} <= names
    results = json.loads((out / "all_results.json").read_text(encoding="utf-8"))
    assert "eval_zh_书_accuracy" in results
    config = yaml.safe_load((out / "run_config.yaml").read_text(encoding="utf-8"))
    wanted = {
        "output_dir": str(out), "seed": 9, "learning_rate": 0.25, "r_drop_weight": 1.0,
        "model_name_or_path": encoder, "target_test": "酒店=hotel.zh.jsonl,书=books.zh.jsonl",
    }  # fmt: skip
    assert wanted.items() <= config.items()


def test_no_label_of_the_target_is_read_before_the_model_is_saved(trainer, data, args, monkeypatch):
    done: list[str] = []
    save, evaluate = trainer.save_model, trainer.evaluate_transfer
    monkeypatch.setattr(trainer, "save_model", lambda to: done.append("saved") or save(to))
    monkeypatch.setattr(
        trainer, "evaluate_transfer", lambda **sets: done.append("evaluated") or evaluate(**sets)
    )
    finish_run(trainer, data, args)
    assert done == ["saved", "evaluated"]


def test_what_is_known_of_the_source_is_kept(trainer, data, args):
    before = trainer.evaluate_transfer(
        source={"en": data.source_validation["products"]}, targets={}
    )
    before = replace(before, notes=["label shift: corrected"], costs={"train_runtime": 7.0})
    report = finish_run(trainer, data, args, report=before)
    assert report.source is before.source
    assert (report.notes, report.costs) == (before.notes, before.costs)
    assert [scores.name for scores in report.targets] == ["zh_酒店", "zh_书"]


def test_other_target_sets(trainer, data, args, chinese):
    report = finish_run(trainer, data, args, targets={"zh_translated": chinese})
    assert [scores.name for scores in report.targets] == ["zh_translated"]


def test_a_model_with_other_labels_is_not_asked_about_the_source(trainer, data, args):
    other = LabelSpace(("好评", "差评"))
    report = finish_run(trainer, replace(data, label_space=other), args)
    assert report.source == []


def test_the_table_is_said_before_a_push_that_fails(trainer, data, args, monkeypatch):
    said: list[str] = []
    args.push_to_hub = True

    def offline(args: TransferArguments) -> None:
        raise OutputError("the hub cannot be reached")

    monkeypatch.setattr(finishing, "push_run", offline)
    with pytest.raises(OutputError, match="cannot be reached"):
        finish_run(trainer, data, args, say=said.append)
    assert len(said) == 2


def test_a_trainer_that_pushes_pushes_by_itself(trainer, data, args, monkeypatch):
    pushed: list[str] = []
    monkeypatch.setattr(trainer, "save_model", lambda to: None)
    monkeypatch.setattr(trainer, "push_to_hub", lambda: pushed.append("trainer"))
    monkeypatch.setattr(finishing, "push_run", lambda args: pushed.append("run"))
    trainer.args.push_to_hub = args.push_to_hub = True
    finish_run(trainer, data, args)
    assert pushed == ["trainer"]
