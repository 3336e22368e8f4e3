"""Saving loses nothing and leaves nothing half-written, and a saved model predicts the same."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import peft
import pytest
import safetensors.torch
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForMaskedLM,
    RobertaConfig,
    RobertaForMaskedLM,
)

from tests.recipes.commands import QUICK, RECIPES, python, warm_python
from xlingual import TransferArguments, TransferTrainer
from xlingual.errors import OutputError, SaveError
from xlingual.saving import check_complete, clear_unfinished, merge_adapter
from xlingual.saving.completeness import plain_name
from xlingual.training.output_dir import prepare_output_dir

MERGED = ("no-pooler", "deberta-v3")  # what is merged too: a new pooler, shared keys
KINDS = ("none", "lora", "dora", "ia3")
SENTENCES = ["房间干净又安静，我们很喜欢。", "談不上乾淨，還有味道。", "check in很慢，床糟透了。"]

READER = """
import json, sys
sys.modules["xlingual"] = None  # as on a machine where it was never installed
from transformers import AutoModelForSequenceClassification, AutoTokenizer
answers = {}
folders, texts = json.loads(sys.argv[1])
for folder in folders:
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    batch = AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
    answers[folder] = model(**batch).logits.tolist()
print("ANSWERS" + json.dumps(answers))
"""


@pytest.fixture
def layouts(encoders, tokenizer, tmp_path) -> dict[str, Path]:
    """The four layouts, a BERT without a pooler, and one whose head has a dense layer."""
    shape = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 70,
        "pad_token_id": 0,
    }
    added = {
        "no-pooler": BertForMaskedLM(BertConfig(**shape)),
        "dense-head": RobertaForMaskedLM(RobertaConfig(**shape, type_vocab_size=1)),
    }
    folders = dict(encoders)
    for name, model in added.items():
        model.save_pretrained(tmp_path / name)
        tokenizer.save_pretrained(tmp_path / name)
        folders[name] = tmp_path / name
    assert not any("pooler" in name for name in load_file(tmp_path / "no-pooler/model.safetensors"))
    return folders


def trainer_of(model: object, folder: Path, rows: object, **settings: object) -> TransferTrainer:
    usual = {
        "max_steps": 3,
        "learning_rate": 0.02,
        "warmup_steps": 0,
        "precision": "fp32",
        "save_strategy": "no",
        "disable_tqdm": True,
        "report_to": "none",
        "adapter_rank": 4,
        "per_device_train_batch_size": 8,
        "freeze_embeddings": False,
    }
    args = TransferArguments(output_dir=str(folder), **{**usual, **settings})
    return TransferTrainer(model, args, train_dataset=rows)


def logits_of(trainer: TransferTrainer) -> torch.Tensor:
    batch = trainer.processing_class(SENTENCES, padding=True, return_tensors="pt")
    with torch.no_grad():
        return trainer.model.eval()(**batch.to(trainer.args.device)).logits.cpu()


def read_elsewhere(folders: list[Path], cwd: Path) -> dict[str, list]:
    finished = subprocess.run(
        [sys.executable, "-c", READER, json.dumps([[str(f) for f in folders], SENTENCES])],
        cwd=cwd,
        env={"HF_HUB_OFFLINE": "1", "PATH": "", "HOME": str(cwd), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout.rpartition("ANSWERS")[2])


@pytest.mark.slow
def test_every_kind_on_every_layout_answers_the_same_in_a_new_process(layouts, english, tmp_path):
    expected = {}
    for layout, base in layouts.items():
        for kind in KINDS:
            out = tmp_path / f"{layout}-{kind}"
            trainer = trainer_of(str(base), out, english, adapter=kind)
            trainer.train()
            trainer.save_model()
            expected[out] = logits_of(trainer)
            if kind != "none" and layout in MERGED:
                merged = merge_adapter(out, tmp_path / f"{layout}-{kind}-merged")
                expected[merged] = expected[out]
    (tmp_path / "elsewhere").mkdir()
    answers = read_elsewhere(list(expected), tmp_path / "elsewhere")
    assert len(answers) == len(layouts) * len(KINDS) + len(MERGED) * 3
    for folder, logits in expected.items():
        given = torch.tensor(answers[str(folder)])
        torch.testing.assert_close(given, logits, atol=1e-5, rtol=1e-5, msg=str(folder))


@pytest.mark.parametrize("layout", ["no-pooler", "dense-head"])
def test_new_layers_are_in_the_adapter(layouts, english, tmp_path, layout):
    trainer = trainer_of(
        str(layouts[layout]), tmp_path / "run", english, adapter="lora", save_base_model=False
    )
    new = trainer.new_parameters
    assert any(("pooler" if layout == "no-pooler" else "classifier.dense") in name for name in new)
    trainer.save_model()
    saved = {plain_name(name) for name in load_file(tmp_path / "run/adapter_model.safetensors")}
    assert set(new) <= saved


@pytest.mark.parametrize("lost", ["lora_B", "pooler", "classifier"])
@pytest.mark.parametrize("when", ["result", "checkpoint"])
def test_a_key_that_peft_drops_ends_the_run(layouts, english, tmp_path, monkeypatch, lost, when):
    kept = peft.peft_model.get_peft_model_state_dict

    def forgetful(*arguments, **keywords):
        state = kept(*arguments, **keywords)
        del state[next(name for name in state if lost in name)]
        return state

    monkeypatch.setattr(peft.peft_model, "get_peft_model_state_dict", forgetful)
    flags = {"save_strategy": "steps", "save_steps": 2} if when == "checkpoint" else {}
    trainer = trainer_of(
        str(layouts["no-pooler"]), tmp_path / "run", english, adapter="lora",
        save_base_model=False, **flags,
    )  # fmt: skip
    if when == "result":
        trainer.train()
    end = trainer.save_model if when == "result" else trainer.train
    with pytest.raises(SaveError, match=rf"1 parameter\(s\).*{lost}.*modules_to_save"):
        end()
    assert not (tmp_path / "run" / "adapter_model.safetensors").exists()
    assert not list((tmp_path / "run").glob("checkpoint-*"))


def test_a_full_model_that_lacks_a_parameter(encoder, english, tmp_path):
    trainer = trainer_of(encoder, tmp_path / "run", english)
    trainer.save_model()
    path = tmp_path / "run" / "model.safetensors"
    state = load_file(path)
    state.pop("head.dense.weight")
    state["classifier.weight"] = torch.zeros(3, 32)
    save_file(state, path, metadata={"format": "pt"})
    with pytest.raises(SaveError) as caught:
        check_complete(trainer.model, tmp_path / "run")
    assert "2 parameter(s)" in str(caught.value)
    assert "head.dense.weight" in str(caught.value)
    assert "classifier.weight (shape (3, 32) instead of (2, 32))" in str(caught.value)


def test_tied_parameters_need_one_name(tokenizer, tmp_path):
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=64,
    )  # fmt: skip
    model = BertForMaskedLM(config)
    model.transfer_loss = torch.nn.Linear(3, 2)  # trained inside the model, no part of it
    state = {n: t for n, t in model.state_dict().items() if "transfer_loss" not in n}
    model.save_pretrained(tmp_path, state_dict=state)
    assert "cls.predictions.decoder.weight" not in load_file(tmp_path / "model.safetensors")
    check_complete(model, tmp_path)


@pytest.mark.parametrize("adapter", ["none", "lora"])
def test_other_values_on_disk_are_noticed(encoder, english, tmp_path, monkeypatch, adapter):
    name = "model.safetensors" if adapter == "none" else "adapter_model.safetensors"
    trainer = trainer_of(encoder, tmp_path / "run", english, adapter=adapter)
    trainer.save_model()
    before = (tmp_path / "run" / name).read_bytes()

    def damage(model, folder, *, save_base):
        complete(model, folder, save_base=save_base)
        state = load_file(folder / name)
        key = next(key for key in state if key.endswith("classifier.weight"))
        save_file({**state, key: state[key] * 2}, folder / name, metadata={"format": "pt"})

    from xlingual.saving import trained

    complete = trained.complete_saved_model
    monkeypatch.setattr(trained, "complete_saved_model", damage)
    with pytest.raises(SaveError, match=r"logits differ by .*: classifier.weight"):
        trainer.save_model()
    assert (tmp_path / "run" / name).read_bytes() == before
    assert (tmp_path / "run" / "_unverified" / name).is_file()
    trainer.args.verify_save = False
    trainer.save_model()
    assert not (tmp_path / "run" / "_unverified").exists()


def test_reading_back_leaves_the_run_as_it_was(encoder, english, tmp_path):
    trainer = trainer_of(encoder, tmp_path / "run", english, precision="bf16")
    trainer.train()
    trainer.model.train()
    forward, state = trainer.model.forward, torch.get_rng_state()
    trainer.save_model()
    assert trainer.model.forward == forward
    assert trainer.model.training
    assert torch.equal(torch.get_rng_state(), state)


def test_an_adapter_takes_the_place_of_a_model_and_back(encoder, english, tmp_path):
    out = tmp_path / "run"
    trainer_of(encoder, out, english).save_model()
    trainer_of(encoder, out, english, adapter="lora", save_base_model=False).save_model()
    assert not (out / "model.safetensors").exists()
    assert not (out / "config.json").exists()
    trainer_of(encoder, out, english).save_model()
    assert not list(out.glob("adapter_*"))
    assert AutoModelForSequenceClassification.from_pretrained(out).config.num_labels == 2


def full_disk_at(monkeypatch: pytest.MonkeyPatch, module: object, wanted: str) -> None:
    """The writer fails in mid-write for paths with a given part."""
    name = "safe_save_file" if hasattr(module, "safe_save_file") else "save"
    write = getattr(module, name)

    def fail(tensors, path, *arguments, **keywords):
        if wanted in str(path):
            Path(path).write_bytes(b"\0" * 100)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return write(tensors, path, *arguments, **keywords)

    monkeypatch.setattr(module, name, fail)


@pytest.mark.parametrize("writer", ["weights", "optimizer"])
def test_a_full_disk_leaves_the_earlier_checkpoint(encoder, english, tmp_path, monkeypatch, writer):
    import transformers.modeling_utils

    flags = {"save_strategy": "steps", "save_steps": 1, "save_total_limit": 1}
    with monkeypatch.context() as full:
        if writer == "weights":
            full_disk_at(full, transformers.modeling_utils, "checkpoint-2")
        else:
            full_disk_at(full, torch, "checkpoint-2/optimizer.pt")
        with pytest.raises(OutputError, match=r"checkpoint-2 cannot be written .*No space left"):
            trainer_of(encoder, tmp_path / "run", english, **flags).train()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["checkpoint-1"]
    resumed = TransferArguments(output_dir=str(tmp_path / "run"), resume_from_checkpoint="true")
    last = prepare_output_dir(resumed)
    trainer = trainer_of(encoder, tmp_path / "run", english, **flags)
    trainer.train(resume_from_checkpoint=last)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["checkpoint-3"]
    assert trainer.state.global_step == 3


def test_a_full_disk_leaves_the_earlier_result(encoder, english, tmp_path, monkeypatch):
    import transformers.modeling_utils

    trainer = trainer_of(encoder, tmp_path / "run", english)
    trainer.save_model()
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    full_disk_at(monkeypatch, transformers.modeling_utils, "run")
    with pytest.raises(OutputError, match=os.strerror(errno.ENOSPC)):
        trainer.save_model()
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before
    assert safetensors.torch.load_file(tmp_path / "run" / "model.safetensors")


def test_the_best_checkpoint_is_known_by_its_name(encoder, english, tmp_path):
    out = tmp_path / "run"
    args = TransferArguments(
        output_dir=str(out), max_steps=4, save_strategy="steps", save_steps=1, save_total_limit=1,
        precision="fp32", selection="source_dev", disable_tqdm=True, report_to="none",
    )  # fmt: skip
    trainer = TransferTrainer(
        encoder, args, train_dataset=english, eval_dataset={"en": english.select(range(8))}
    )
    trainer.train()
    best = Path(trainer.state.best_model_checkpoint)
    assert best.parent == out
    assert best.is_dir()
    assert not (out / "_writing").exists()
    for folder in out.glob("checkpoint-*"):
        state = json.loads((folder / "trainer_state.json").read_text())
        assert "_writing" not in state["best_model_checkpoint"]


def test_leftovers_of_a_crash(tmp_path):
    """Killed between the two renames of a replacement: the old one comes back."""
    (tmp_path / "_writing/replaced-checkpoint-4").mkdir(parents=True)
    (tmp_path / "_writing/replaced-checkpoint-4/trainer_state.json").write_text("old")
    (tmp_path / "_writing/checkpoint-8").mkdir()
    clear_unfinished(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-4"]
    clear_unfinished(tmp_path / "nowhere")


KILLED = """
import os, runpy, signal, sys, torch
save = torch.save
def save_or_die(value, path, *arguments, **keywords):
    if str(path).endswith("checkpoint-4/optimizer.pt"):
        open(path, "wb").write(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    return save(value, path, *arguments, **keywords)
torch.save = save_or_die
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.slow
def test_killed_in_mid_write(encoder, english, tmp_path):
    rows = tmp_path / "en.jsonl"
    english.to_json(rows, force_ascii=False)
    flags = [
        f"--model_name_or_path={encoder}", f"--source_train={rows}", f"--target_test={rows}",
        *QUICK, "--max_steps=6", "--save_strategy=steps", "--save_steps=2",
        f"--output_dir={tmp_path / 'run'}", "--save_total_limit=1",
    ]  # fmt: skip
    recipe = str(RECIPES / "zero_shot.py")
    started = {"cwd": tmp_path, "executable": warm_python()}
    killed = python("-c", KILLED, recipe, *flags, **started)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert [path.name for path in (tmp_path / "run").glob("checkpoint-*")] == ["checkpoint-2"]
    resumed = python(recipe, *flags, "--resume_from_checkpoint=true", **started)
    assert resumed.returncode == 0, resumed.stderr
    assert "checkpoint-2" in resumed.stderr
    assert [path.name for path in (tmp_path / "run").glob("checkpoint-*")] == ["checkpoint-6"]
    assert not (tmp_path / "run" / "_writing").exists()
    shutil.rmtree(tmp_path / "run")
