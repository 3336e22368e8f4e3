"""Adapters on four layouts: what is trained, what is saved, and that it comes back."""

from __future__ import annotations

import shutil
from pathlib import Path

import peft
import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from xlingual import LabelSpace, TransferArguments, TransferTrainer, get_task, load_model
from xlingual.config.options import ADAPTERS
from xlingual.errors import ConfigError
from xlingual.models.adapters import add_adapter
from xlingual.models.parts import head_module_names

LAYOUTS = ("bert", "xlm-r", "deberta-v3", "modernbert")
KINDS = ("lora", "dora", "ia3")
SENTENCES = ["房间干净又安静，我们很喜欢。", "談不上乾淨，還有味道。", "check in很慢，床糟透了。"]
SPACE = LabelSpace(("差评", "好评"))
ADAPTER_NAMES = {
    "lora": ("lora_A", "lora_B"),
    "dora": ("lora_A", "lora_B", "lora_magnitude_vector"),
    "ia3": ("ia3_l",),
}


@pytest.fixture
def reviews(chinese: Dataset) -> Dataset:
    names = {"positive": "好评", "negative": "差评"}
    return chinese.map(lambda row: {"label": names[row["label"]]}, load_from_cache_file=False)


def trainer_of(model: object, folder: Path, rows: Dataset, **settings: object) -> TransferTrainer:
    usual = {
        "max_steps": 2,
        "learning_rate": 0.05,
        "head_learning_rate": 0.05,
        "warmup_steps": 0,
        "weight_decay": 0.0,
        "precision": "fp32",
        "save_strategy": "no",
        "disable_tqdm": True,
        "report_to": "none",
        "adapter_rank": 4,
    }
    args = TransferArguments(output_dir=str(folder), **{**usual, **settings})
    return TransferTrainer(model, args, train_dataset=rows)


def logits_of(model: torch.nn.Module, folder: Path) -> torch.Tensor:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    batch = tokenizer(SENTENCES, padding=True, return_tensors="pt").to("cpu")
    with torch.no_grad():
        return model.eval()(**batch).logits


def by_name(model: torch.nn.Module, logits: torch.Tensor) -> list[dict[str, float]]:
    names = model.config.id2label
    return [{names[i]: value for i, value in enumerate(row)} for row in logits.tolist()]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_train_save_load(encoders, tmp_path, reviews, layout: str, kind: str) -> None:
    base = tmp_path / "base"
    shutil.copytree(encoders[layout], base)
    folder = tmp_path / "run"
    trainer = trainer_of(str(base), folder, reviews, adapter=kind)
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    trainer.train()

    # Trained: the adapter, the head and what is new; nothing else.
    trained = {name for name, p in trainer.model.named_parameters() if p.requires_grad}
    kinds_of_adapter = ADAPTER_NAMES[kind]
    added = {name for name in trained if any(part in name for part in kinds_of_adapter)}
    assert all(any(part in name for name in added) for part in kinds_of_adapter)
    assert all(".modules_to_save.default." in name for name in trained - added)
    moved = {n for n, p in trainer.model.named_parameters() if not torch.equal(p, before[n])}
    assert moved == trained
    saved_whole = {name.split(".modules_to_save.")[0] for name in trained - added}
    heads = head_module_names(trainer.model.get_base_model())
    assert {name.rsplit(".", 1)[-1] for name in saved_whole} >= set(heads)

    # Saved: every parameter that no checkpoint gave is in one of the two files.
    trainer.save_model()
    adapter = load_file(folder / "adapter_model.safetensors")
    assert trainer.new_parameters
    for name in trainer.new_parameters:
        assert f"base_model.model.{name}" in adapter, name
    assert "model.safetensors" in {file.name for file in folder.iterdir()}

    expected = logits_of(trainer.model, folder)
    on_base = AutoModelForSequenceClassification.from_pretrained(base, num_labels=2)
    with_peft = peft.PeftModel.from_pretrained(on_base, folder)
    torch.testing.assert_close(logits_of(with_peft, folder), expected, atol=1e-5, rtol=1e-5)

    # Loaded as a whole, on a machine that does not have the base.
    shutil.rmtree(base)
    alone = AutoModelForSequenceClassification.from_pretrained(folder)
    assert set(alone.config.id2label.values()) == {"差评", "好评"}
    torch.testing.assert_close(logits_of(alone, folder), expected, atol=1e-5, rtol=1e-5)
    assert by_name(alone, expected) == by_name(trainer.model, expected)


def test_a_pipeline_reads_the_folder(encoder, tmp_path, reviews) -> None:
    trainer = trainer_of(encoder, tmp_path / "run", reviews, adapter="lora")
    trainer.train()
    trainer.save_model()
    classify = pipeline("text-classification", model=str(tmp_path / "run"), device="cpu")
    rows = Dataset.from_dict({"text": SENTENCES, "label": ["好评", "差评", "差评"]})
    output = trainer.predict_labels(rows)
    answers = classify(SENTENCES)
    names = [trainer.label_space.names[label] for label in output.predictions]
    assert [answer["label"] for answer in answers] == names
    assert [answer["score"] for answer in answers] == pytest.approx(
        output.probs.max(axis=1).tolist(), abs=1e-4
    )


def test_label_names_are_readable_in_the_config(encoder, tmp_path, reviews) -> None:
    trainer = trainer_of(encoder, tmp_path / "run", reviews, adapter="lora")
    trainer.save_model()
    assert '"好评"' in (tmp_path / "run" / "config.json").read_text(encoding="utf-8")


def test_a_checkpoint_that_is_fine_tuned_already(encoder, tmp_path, reviews) -> None:
    """Nothing is new: the head is still trained and saved, and the base is not changed."""
    first = trainer_of(encoder, tmp_path / "full", reviews)
    first.train()
    first.save_model()
    stored = load_file(tmp_path / "full" / "model.safetensors")
    second = trainer_of(str(tmp_path / "full"), tmp_path / "run", reviews, adapter="lora")
    assert second.new_parameters == frozenset()
    second.train()
    second.save_model()
    base = load_file(tmp_path / "run" / "model.safetensors")
    assert base.keys() == stored.keys()
    assert all(torch.equal(base[name], stored[name]) for name in stored)
    alone = AutoModelForSequenceClassification.from_pretrained(tmp_path / "run")
    torch.testing.assert_close(
        logits_of(alone, tmp_path / "run"), logits_of(second.model, tmp_path / "run")
    )


@pytest.mark.parametrize("wanted", [True, False])
def test_the_base_beside_the_adapter(encoder, tmp_path, reviews, wanted: bool) -> None:
    trainer = trainer_of(encoder, tmp_path / "run", reviews, adapter="lora", save_base_model=wanted)
    trainer.save_model()
    assert (tmp_path / "run" / "model.safetensors").exists() is wanted
    assert (tmp_path / "run" / "adapter_model.safetensors").exists()


def test_checkpoints_hold_the_adapter_alone(encoder, tmp_path, reviews) -> None:
    trainer = trainer_of(
        encoder, tmp_path / "run", reviews, adapter="lora", save_strategy="steps", save_steps=1
    )
    trainer.train()
    checkpoint = tmp_path / "run" / "checkpoint-2"
    assert (checkpoint / "adapter_model.safetensors").exists()
    assert not (checkpoint / "model.safetensors").exists()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_targets(encoders, layout: str, kind: str) -> None:
    loaded = load_model(str(encoders[layout]), task=get_task("sequence"), label_space=SPACE)
    model = add_adapter(
        loaded.model, kind=kind, task=get_task("sequence"), new_parameters=loaded.new_parameters
    )
    config = model.peft_config["default"]
    assert {f".{block}." in name for name in config.target_modules for block in (0, 1)} == {
        True,
        False,
    }
    assert not any("pooler" in name or "classifier" in name for name in config.target_modules)
    per_block = len(config.target_modules) / 2
    fused = layout == "modernbert"  # Wqkv, Wo, Wi, Wo
    if kind == "ia3":
        assert per_block == (2 if fused else 3)
        assert len(config.feedforward_modules) == 2
        assert not any("attention" in name for name in config.feedforward_modules)
    else:
        assert per_block == (4 if fused else 6)
        assert config.lora_alpha == 2 * config.r == 32
        assert config.use_dora == (kind == "dora")


def test_settings_reach_the_adapter(encoder, tmp_path, reviews) -> None:
    trainer = trainer_of(
        encoder,
        tmp_path,
        reviews,
        adapter="lora",
        adapter_rank=2,
        adapter_alpha=7,
        adapter_dropout=0.25,
        adapter_target_modules=["Wqkv"],
    )
    config = trainer.model.peft_config["default"]
    assert (config.r, config.lora_alpha, config.lora_dropout) == (2, 7, 0.25)
    adapted = {name for name, _ in trainer.model.named_parameters() if "lora_A" in name}
    assert len(adapted) == 2
    assert all("Wqkv" in name for name in adapted)


def test_a_model_with_an_adapter_is_taken_as_it_is(encoder, tmp_path, reviews) -> None:
    loaded = load_model(encoder, task=get_task("sequence"), label_space=SPACE)
    model = add_adapter(
        loaded.model,
        kind="lora",
        task=get_task("sequence"),
        new_parameters=loaded.new_parameters,
        rank=3,
    )
    trainer = trainer_of(model, tmp_path, reviews, adapter="lora")
    assert trainer.model.peft_config["default"].r == 3
    assert trainer.label_space == SPACE
    trainer.train()


def test_token_task(encoder) -> None:
    space = LabelSpace(("O", "B-LOC", "I-LOC"))
    loaded = load_model(encoder, task=get_task("token"), label_space=space)
    model = add_adapter(loaded.model, kind="lora", task=get_task("token"))
    assert model.peft_config["default"].task_type == peft.TaskType.TOKEN_CLS
    assert model(input_ids=torch.tensor([[2, 7, 3]])).logits.shape == (1, 3, 3)


@pytest.mark.parametrize("kind", ["prefix", "LoRA", "none"])
def test_unknown_kind(encoder, kind: str) -> None:
    model = load_model(encoder, task=get_task("sequence"), label_space=SPACE).model
    with pytest.raises(ConfigError, match=f"unknown adapter '{kind}'.*none, lora, dora, ia3"):
        add_adapter(model, kind=kind, task=get_task("sequence"))
    assert list(ADAPTERS) == ["none", *KINDS]


def test_targets_that_are_not_there(encoder) -> None:
    model = load_model(encoder, task=get_task("sequence"), label_space=SPACE).model
    with pytest.raises(ConfigError) as caught:
        add_adapter(
            model, kind="lora", task=get_task("sequence"), target_modules=["query", "value"]
        )
    message = str(caught.value)
    assert "none of the modules ['query', 'value'] in ModernBert" in message
    assert "--adapter_target_modules" in message
