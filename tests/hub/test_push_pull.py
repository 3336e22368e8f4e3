"""The real client pushes to a hub over HTTP; models come back by id, where no xlingual is."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tests.hub.conftest import contents
from tests.hub.server import WRITER, Hub
from xlingual.hub import push_folder

TEXTS = [
    "房间干净又安静，我们很喜欢。",
    "浪费钱，什么都不好用。",
    "WiFi很快, great location",
    "床糟透了",
]

READER = """
import json, sys
sys.modules["xlingual"] = None  # as on a machine where it was never installed
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline
answers = {}
texts = json.loads(sys.argv[2])
for repo_id in json.loads(sys.argv[1]):
    model = AutoModelForSequenceClassification.from_pretrained(repo_id).eval()
    batch = AutoTokenizer.from_pretrained(repo_id)(texts, padding=True, return_tensors="pt")
    classify = pipeline("text-classification", model=repo_id)
    answers[repo_id] = {
        "logits": model(**batch).logits.tolist(),
        "labels": [answer["label"] for answer in classify(texts)],
        "names": model.config.id2label,
    }
print("ANSWERS" + json.dumps(answers))
"""


def run_elsewhere(hub: Hub, home: Path, *command: str, **more: str) -> subprocess.CompletedProcess:
    """A new process without a cache that knows the hub by HF_ENDPOINT alone."""
    home.mkdir(exist_ok=True)
    environment = {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home / "hf"),
        "HF_HUB_DISABLE_XET": "1",
        "HOME": str(home),
        "PATH": "",
        "PYTHONIOENCODING": "utf-8",
        "OMP_NUM_THREADS": "1",
        "NO_PROXY": "127.0.0.1,localhost",
        **more,
    }
    return subprocess.run(
        [sys.executable, *command],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def logits_of(folder: Path) -> torch.Tensor:
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    batch = AutoTokenizer.from_pretrained(folder)(TEXTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        return model(**batch).logits


@pytest.mark.slow
def test_a_full_and_an_adapter_model_come_back_by_id(hub, full_model, adapter_model, tmp_path):
    """When the models are loaded, the adapter's base and the pushed folder no longer exist."""
    before = {"writer/full": logits_of(full_model), "writer/adapter": logits_of(adapter_model)}
    assert (before["writer/full"] - before["writer/adapter"]).abs().max() > 0.1
    held = contents(adapter_model)
    moved = shutil.copytree(adapter_model, tmp_path / "moved")
    push_folder(full_model, "writer/full")
    push_folder(moved, "writer/adapter")
    assert contents(moved) == held
    shutil.rmtree(moved)
    names = json.dumps(list(before))
    finished = run_elsewhere(hub, tmp_path / "elsewhere", "-c", READER, names, json.dumps(TEXTS))
    assert finished.returncode == 0, finished.stderr
    answers = json.loads(finished.stdout.rpartition("ANSWERS")[2])
    for repo_id, logits in before.items():
        assert torch.equal(torch.tensor(answers[repo_id]["logits"]), logits), repo_id
        assert answers[repo_id]["names"] == {"0": "差评", "1": "好评"}
        expected = [("差评", "好评")[i] for i in logits.argmax(-1).tolist()]
        assert answers[repo_id]["labels"] == expected


@pytest.mark.slow
def test_the_command_pushes_to_the_endpoint_of_the_environment(hub, full_model, tmp_path):
    root = str(Path(__file__).parents[2])
    command = ("-m", "xlingual.cli", "push", str(full_model), "from-the-shell")
    finished = run_elsewhere(hub, tmp_path / "home", *command, HF_TOKEN=WRITER, PYTHONPATH=root)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.strip() == (
        f"{hub.url}/writer/from-the-shell/commit/{hub.repos['writer/from-the-shell'].find('main').oid}"
    )
    offline = run_elsewhere(
        hub,
        tmp_path / "home",
        *command,
        HF_TOKEN=WRITER,
        PYTHONPATH=root,
        HF_HUB_OFFLINE="1",
    )
    assert offline.returncode == 2
    assert "HF_HUB_OFFLINE=1" in offline.stderr
    assert f"xlingual push {full_model} from-the-shell" in offline.stderr


def test_one_commit_by_lfs_with_what_belongs_there(hub, full_model, tmp_path):
    folder = shutil.copytree(full_model, tmp_path / "run")
    left_out = [
        "training_args.bin", "checkpoint-7/model.safetensors", "checkpoint-7/optimizer.pt",
        "predictions_zh.jsonl", "rejected_rows.jsonl", ".cache/x.json", "runs/events", "_push/a",
    ]  # fmt: skip
    for name in left_out:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("顾客张伟的电话", encoding="utf-8")
    (folder / "all_results.json").write_text("{}")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_bytes(b"onnx")
    commit = push_folder(folder, "writer/full", commit_message="第一版", private=True)
    assert commit == f"{hub.url}/writer/full/commit/{hub.repos['writer/full'].find('main').oid}"
    assert hub.commits("writer/full") == ["initial commit", "第一版"]
    pushed = hub.files("writer/full")
    expected = {n: text for n, text in contents(folder).items() if n not in left_out}
    assert pushed == expected
    assert hub.repos["writer/full"].private
    assert len(hub.verified) == 2
    assert "/api/validate-yaml" in hub.paths("POST")


def test_a_name_alone_is_in_the_namespace_of_the_token(hub, adapter_model):
    push_folder(adapter_model, "alone")
    config = json.loads(hub.files("writer/alone")["adapter_config.json"])
    assert config["base_model_name_or_path"] == "writer/alone"
    assert config["revision"] is None
    assert json.loads((adapter_model / "adapter_config.json").read_text()) != config


def test_a_branch_is_made_and_main_stays(hub, full_model):
    hub.add_repo("writer/full")
    push_folder(full_model, "writer/full", revision="v2")
    assert hub.commits("writer/full") == ["initial commit"]
    assert "model.safetensors" in hub.files("writer/full", "v2")


def test_what_another_kind_of_model_left_is_removed_in_the_same_commit(
    hub, full_model, adapter_model
):
    """An adapter's files beside a full model would be loaded on top of it."""
    push_folder(adapter_model, "writer/model")
    push_folder(full_model, "writer/model")
    assert len(hub.commits("writer/model")) == 3
    assert hub.files("writer/model").keys() == contents(full_model).keys()


def test_the_same_folder_again_makes_no_commit(hub, full_model):
    first = push_folder(full_model, "writer/full")
    assert push_folder(full_model, "writer/full") == first
    assert len(hub.commits("writer/full")) == 2
