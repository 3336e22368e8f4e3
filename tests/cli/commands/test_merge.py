"""``xlingual merge``: a plain model, or one clear error and nothing written."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from xlingual import TransferArguments, TransferTrainer
from xlingual.cli.command_line import run_command
from xlingual.errors import ModelLoadError, OutputError, SaveError
from xlingual.saving import merge_adapter, merging as merging_module

SENTENCES = ["房间干净又安静，我们很喜欢。", "談不上乾淨，還有味道。"]


def logits_of(folder: Path) -> torch.Tensor:
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    batch = AutoTokenizer.from_pretrained(folder)(SENTENCES, padding=True, return_tensors="pt")
    with torch.no_grad():
        return model(**batch).logits


@pytest.fixture(scope="module")
def trained(tmp_path_factory, encoders):
    """Adapters with and without their base, and the base."""
    from datasets import Dataset

    root = tmp_path_factory.mktemp("merge")
    base = shutil.copytree(encoders["xlm-r"], root / "base")
    rows = Dataset.from_dict({"text": ["Good.", "Bad.", "很好。"] * 4, "label": list("好坏好") * 4})
    for name in ("alone", "apart"):
        args = TransferArguments(
            output_dir=str(root / name), max_steps=3, learning_rate=0.05, precision="fp32",
            save_strategy="no", report_to="none", disable_tqdm=True, adapter="dora",
            adapter_rank=2, save_base_model=name == "alone",
        )  # fmt: skip
        trainer = TransferTrainer(str(base), args, train_dataset=rows)
        trainer.train()
        trainer.save_model()
        (root / name / "calibration.json").write_text('{"calibration_temperature": 1.5}')
        (root / name / "all_results.json").write_text('{"eval_zh_accuracy": 0.5}')
    return root


@pytest.fixture
def folders(trained, tmp_path) -> Path:
    """Copies; the adapter that stands apart names the base of this test."""
    for name in ("base", "alone", "apart"):
        shutil.copytree(trained / name, tmp_path / name)
    path = tmp_path / "apart" / "adapter_config.json"
    config = json.loads(path.read_text()) | {"base_model_name_or_path": str(tmp_path / "base")}
    path.write_text(json.dumps(config))
    return tmp_path


@pytest.mark.parametrize("name", ["alone", "apart"])
def test_a_plain_model(folders, capsys, name):
    if name == "alone":
        shutil.rmtree(folders / "base")
    out = folders / "new" / "merged"
    run_command(["merge", str(folders / name), str(out)])
    assert capsys.readouterr().out == f"merged: {out}\n"
    torch.testing.assert_close(logits_of(out), logits_of(folders / "alone"), atol=1e-5, rtol=1e-5)
    assert not list(out.glob("adapter_*"))
    assert not any("lora" in key for key in load_file(out / "model.safetensors"))
    assert json.loads((out / "config.json").read_text())["id2label"] == {"0": "坏", "1": "好"}
    assert '"好"' in (out / "config.json").read_text(encoding="utf-8")
    for carried in ("calibration.json", "all_results.json"):
        assert (out / carried).read_text() == (folders / name / carried).read_text()
    assert not list(out.glob("*.bin"))
    assert [path.name for path in out.parent.iterdir()] == ["merged"]


def refused(folders: Path, name: str, error: type[Exception], match: str) -> None:
    out = folders / "out"
    with pytest.raises(error, match=match):
        merge_adapter(folders / name, out)
    assert not out.exists()
    assert not list(folders.glob(".*"))


def test_folders_that_are_no_adapters(folders):
    refused(folders, "base", ModelLoadError, "is a full model already; expected a folder with")
    refused(folders, "nowhere", ModelLoadError, "is not an adapter")
    path = folders / "alone" / "adapter_model.safetensors"
    path.rename(path.with_suffix(".bin"))
    refused(folders, "alone", ModelLoadError, "pickled weights are refused")


def test_a_base_that_is_missing(folders):
    shutil.rmtree(folders / "base")
    refused(folders, "apart", ModelLoadError, "the base model .*base' .*is missing")


def test_a_base_of_another_revision(folders):
    path = folders / "base" / "model.safetensors"
    state = load_file(path)
    name = next(name for name in state if "layer.0.attention.self.query.weight" in name)
    save_file({**state, name: state[name] * 1.01}, path, metadata={"format": "pt"})
    refused(folders, "apart", ModelLoadError, "is not the revision")


def test_a_base_of_another_layout(folders, encoders):
    shutil.rmtree(folders / "base")
    shutil.copytree(encoders["modernbert"], folders / "base")
    refused(folders, "apart", ModelLoadError, "does not fit")


def test_an_adapter_of_another_task(folders):
    path = folders / "alone" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"task_type": "CAUSAL_LM"}))
    refused(folders, "alone", ModelLoadError, "'CAUSAL_LM'; expected SEQ_CLS or TOKEN_CLS")


def test_an_output_that_holds_files(folders):
    out = folders / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="is not an empty folder"):
        merge_adapter(folders / "alone", out)
    assert [path.name for path in out.iterdir()] == ["mine.txt"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_no_permission(folders):
    (folders / "locked").mkdir(mode=0o500)
    with pytest.raises(OutputError, match="cannot be written"):
        merge_adapter(folders / "alone", folders / "locked" / "out")


def test_an_output_below_a_file(folders):
    (folders / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        merge_adapter(folders / "alone", folders / "file" / "out")


def test_a_merge_that_fails_leaves_nothing(folders, monkeypatch):
    def differs(*arguments, **keywords):
        raise SaveError("predicts differently from the one in memory")

    monkeypatch.setattr(merging_module, "check_read_back", differs)
    refused(folders, "alone", SaveError, "predicts differently")


def test_help(capsys):
    with pytest.raises(SystemExit):
        run_command(["merge", "--help"])
    assert "ADAPTER_FOLDER" in capsys.readouterr().out
