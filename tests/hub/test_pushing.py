"""The hub flags of a training run, as in transformers, on a trainer that pushes by this package."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from huggingface_hub import constants
from transformers import AutoModelForSequenceClassification

from tests.classifiers import save_classifier
from tests.hub.conftest import CARD, LABELS
from tests.hub.server import READER, WRITER
from xlingual.config.training import TransferArguments
from xlingual.errors import LabelSpaceError, OutputError
from xlingual.hub import push_folder
from xlingual.labels import LabelSpace
from xlingual.training.pushing import push_run
from xlingual.training.trainer import TransferTrainer


class Pushing(TransferTrainer):
    """As ``TransferTrainer`` is with ``PushingTrainer`` for its base: the same order of calls."""


@pytest.fixture
def trainer(encoder, english, tmp_path):
    def make(**flags) -> Pushing:
        settings = {
            "max_steps": 2,
            "save_strategy": "steps",
            "save_steps": 1,
            "per_device_train_batch_size": 4,
            "precision": "fp32",
            "disable_tqdm": True,
            "report_to": "none",
            "push_to_hub": True,
            "hub_model_id": "writer/run",
            "hub_always_push": True,
        }
        args = TransferArguments(output_dir=str(tmp_path / "run"), **(settings | flags))
        space = LabelSpace(("negative", "positive"))
        return Pushing(encoder, args, train_dataset=english, label_space=space)

    return make


def test_every_save_and_the_end(hub, trainer, tmp_path, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    made = trainer(hub_private_repo=True, hub_token=WRITER)
    assert hub.repos["writer/run"].private, "the repository is made before the first step"
    made.train()
    made.save_model()
    (tmp_path / "run" / "README.md").write_text(CARD, encoding="utf-8")
    commit = made.push_to_hub()
    assert commit.oid == hub.repos["writer/run"].find("main").oid
    assert hub.commits("writer/run") == [
        "initial commit",
        "Training in progress, step 1",
        "Training in progress, step 2",
        "End of training",
    ], "save_model() has pushed the same as step 2 did, which is no commit"
    files = hub.files("writer/run")
    assert files["README.md"].decode() == CARD, "no draft over the card"
    assert files["model.safetensors"] == (tmp_path / "run" / "model.safetensors").read_bytes()
    assert not [name for name in files if name.endswith((".bin", ".pt", ".pth")) or "/" in name]
    assert not list((tmp_path / "run").glob("_push-*"))
    saved = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert not [path for path in saved if WRITER.encode() in path.read_bytes()], "no token on disk"


def test_only_the_end(hub, trainer):
    made = trainer(hub_strategy="end")
    made.train()
    assert hub.commits("writer/run") == ["initial commit"]
    future = made.push_to_hub(commit_message="完成", blocking=False)
    assert future.result(60).oid == hub.repos["writer/run"].find("main").oid
    assert hub.commits("writer/run") == ["initial commit", "完成"]


def test_a_checkpoint_to_resume_from(hub, trainer):
    made = trainer(hub_strategy="checkpoint")
    made.train()
    files = hub.files("writer/run")
    state = json.loads(files["last-checkpoint/trainer_state.json"])
    assert state["global_step"] == 2
    assert "last-checkpoint/optimizer.pt" in files
    assert "last-checkpoint/training_args.bin" not in files


def test_an_adapter_of_a_checkpoint_is_a_whole_model(hub, trainer):
    made = trainer(adapter="lora", adapter_rank=2)
    made.train()
    files = hub.files("writer/run")
    assert {"adapter_model.safetensors", "model.safetensors", "config.json"} <= files.keys()
    assert json.loads(files["adapter_config.json"])["base_model_name_or_path"] == "writer/run"


@pytest.mark.parametrize(
    ("token", "message"), [(None, "needs a token"), (READER, "may not write to writer/run")]
)
def test_what_the_last_push_could_not_do_stops_the_run_at_once(
    hub, trainer, monkeypatch, token, message
):
    monkeypatch.setenv("HF_TOKEN", token) if token else monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(OutputError, match=message):
        trainer()


def test_offline_stops_the_run_at_once(hub, trainer, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(OutputError, match=r"HF_HUB_OFFLINE=1.*without --push_to_hub"):
        trainer()


def test_other_labels_stop_the_run_at_once(hub, trainer, encoder, tmp_path):
    push_folder(save_classifier(encoder, tmp_path / "zh", labels=LABELS), "writer/run")
    with pytest.raises(LabelSpaceError, match="差评, 好评"):
        trainer()


def test_a_hub_that_goes_down_does_not_stop_the_run(hub, trainer, caplog, tmp_path):
    made = trainer()
    hub.fail("GET", "/api/models/", 500, times=999)
    caplog.set_level(logging.WARNING, logger="xlingual")
    made.train()
    made.save_model()
    assert made.state.global_step == 2
    assert "the run continues" in caplog.text
    with pytest.raises(OutputError, match="is kept as it is: push it later with: xlingual push"):
        made.push_to_hub()
    AutoModelForSequenceClassification.from_pretrained(tmp_path / "run")
    hub.faults.clear()
    push_folder(Path(made.args.output_dir), "writer/run")
    assert "model.safetensors" in hub.files("writer/run")


def test_a_run_of_stages_is_pushed_once_from_its_own_folder(monkeypatch, tmp_path):
    pushed = []
    monkeypatch.setattr(
        "xlingual.training.pushing.push_folder",
        lambda folder, repo_id, **settings: pushed.append((folder, repo_id, settings)),
    )
    args = TransferArguments(
        output_dir=str(tmp_path / "few_shot"), hub_private_repo=True, push_to_hub=True
    )
    assert args.for_stage("zero_shot").push_to_hub is False
    push_run(args)
    folder, repo_id, settings = pushed[0]
    assert folder == tmp_path / "few_shot"
    assert repo_id == "few_shot"
    assert settings["private"] is True
    assert settings["replace_labels"] is False
