"""Decoders as encoders: trained, resumed, merged, exported, and read alike by a plain pipeline."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from tests.models.conftest import DECODERS, END
from xlingual import (
    FrozenEncoder,
    LabelSpace,
    Predictor,
    TransferArguments,
    TransferTrainer,
    export_onnx,
    extract_features,
    get_task,
    load_model,
)
from xlingual.config.presets import preset_for
from xlingual.errors import ModelLoadError
from xlingual.models.adapters import add_adapter
from xlingual.models.features import FeatureTap, output_layer
from xlingual.saving import merge_adapter
from xlingual.transfer.loop.continued_pretraining import continue_pretraining

SPACE = LabelSpace(("negative", "positive"))
TEXTS = ["床很舒服，早餐不错，物有所值。", "談不上乾淨，還有味道。", "check in很慢", "never again"]

every_layout = pytest.mark.parametrize("decoder", DECODERS, indirect=True)
named_layouts = pytest.mark.parametrize(
    "decoder", ["qwen2", "qwen3", "llama", "gpt2", "gemma3"], indirect=True
)
two_layouts = pytest.mark.parametrize("decoder", ["qwen3", "gpt2"], indirect=True)


def trainer_of(model: str, folder: Path, rows: Dataset, **settings: object) -> TransferTrainer:
    usual = {
        "max_steps": 4,
        "per_device_train_batch_size": 8,
        "learning_rate": 0.01,
        "precision": "fp32",
        "save_strategy": "no",
        "disable_tqdm": True,
        "report_to": "none",
    }
    args = TransferArguments(output_dir=str(folder), **{**usual, **settings})
    return TransferTrainer(model, args, train_dataset=rows)


def probs_by_name(answers: list[dict[str, object]]) -> dict[str, float]:
    return {answer["label"]: answer["score"] for answer in answers}


def assert_read_alike(folder: Path, trainer: TransferTrainer) -> None:
    """By ``pipeline`` one by one and in batches, by ``Predictor``, and by the trainer itself."""
    rows = Dataset.from_dict({"text": TEXTS})
    expected = trainer.predict_labels(rows).probs
    assert np.ptp(expected[:, 0]) > 1e-3, "the texts are told apart"
    classify = pipeline("text-classification", model=str(folder), device="cpu", top_k=None)
    one = [probs_by_name(classify([text])[0]) for text in TEXTS]
    many = [probs_by_name(answers) for answers in classify(TEXTS, batch_size=4)]
    served = [
        row.probabilities for row in Predictor.from_pretrained(folder, device="cpu").predict(TEXTS)
    ]
    for found in (one, many, served):
        named = [[row[name] for name in trainer.label_space.names] for row in found]
        np.testing.assert_allclose(named, expected, atol=1e-5)


@named_layouts
def test_full_fine_tuning(decoder, english, tmp_path) -> None:
    trainer = trainer_of(decoder, tmp_path / "out", english)
    trainer.train()
    trainer.save_model()
    config = json.loads((tmp_path / "out" / "config.json").read_text(encoding="utf-8"))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert (tokenizer.pad_token, tokenizer.padding_side) == (END, "right")
    assert config["pad_token_id"] == tokenizer.pad_token_id == 256
    assert_read_alike(tmp_path / "out", trainer)


@pytest.mark.parametrize(
    ("decoder", "kind", "num_adapted"),
    [
        ("qwen3", "lora", 14),
        ("llama", "lora", 14),
        ("gemma3", "lora", 14),
        ("gpt2", "lora", 8),
        ("qwen3", "ia3", 6),
        ("gpt2", "ia3", 4),
    ],
    indirect=["decoder"],
)
def test_an_adapter_is_saved_with_its_head_and_merged(
    decoder, kind, num_adapted, english, tmp_path
) -> None:
    trainer = trainer_of(decoder, tmp_path / "out", english, adapter=kind)
    trained = {n for n, p in trainer.model.named_parameters() if p.requires_grad}
    assert any(name.endswith("score.modules_to_save.default.weight") for name in trained)
    assert all(f"{kind}_" in name or ".score." in name for name in trained)
    blocks = {name.split(f".{kind}_")[0] for name in trained if f"{kind}_" in name}
    assert len(blocks) == num_adapted
    trainer.train()
    trainer.save_model()
    assert_read_alike(tmp_path / "out", trainer)
    merge_adapter(tmp_path / "out", tmp_path / "merged")
    assert_read_alike(tmp_path / "merged", trainer)


@pytest.mark.parametrize(
    ("decoder", "adapter"), [("qwen3", "none"), ("gpt2", "dora")], indirect=["decoder"]
)
def test_a_resumed_run_ends_where_an_uninterrupted_one_does(
    decoder, adapter, english, tmp_path
) -> None:
    settings = {"adapter": adapter, "save_strategy": "steps", "save_steps": 2}
    for resume in (None, str(tmp_path / "out" / "checkpoint-2")):
        trainer = trainer_of(decoder, tmp_path / "out", english, **settings)
        trainer.train(resume_from_checkpoint=resume)
        trainer.save_model(str(tmp_path / f"end-{resume is None}"))
    name = "model.safetensors" if adapter == "none" else "adapter_model.safetensors"
    whole, resumed = (load_file(tmp_path / f"end-{end}" / name) for end in (True, False))
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


@two_layouts
def test_an_adapter_without_its_base_is_padded_as_it_was_trained(
    decoder, english, tmp_path
) -> None:
    settings = {"adapter": "lora", "save_base_model": False}
    trainer = trainer_of(decoder, tmp_path / "out", english, **settings)
    trainer.train()
    trainer.save_model()  # reads the folder back, on a base whose config has no padding token
    assert not (tmp_path / "out" / "config.json").exists()
    merge_adapter(tmp_path / "out", tmp_path / "merged")
    assert_read_alike(tmp_path / "merged", trainer)


@pytest.mark.slow
@two_layouts
def test_export(decoder, english, tmp_path) -> None:
    pytest.importorskip("onnxscript")
    trainer = trainer_of(decoder, tmp_path / "out", english)
    trainer.train()
    trainer.save_model()
    export_onnx(tmp_path / "out", tmp_path / "graph", precision=("fp32",))
    ways = [
        Predictor.from_pretrained(tmp_path / "out", device="cpu"),
        Predictor.from_pretrained(tmp_path / "graph", backend="onnxruntime"),
    ]
    assert ways[0].max_length == ways[1].max_length == 100
    first, second = ([row.probability for row in way.predict(TEXTS)] for way in ways)
    np.testing.assert_allclose(first, second, atol=1e-4)


@every_layout
@pytest.mark.parametrize("adapted", [False, True])
@pytest.mark.parametrize("side", ["left", "right"])
def test_the_features_are_those_of_the_last_token(decoder, adapted, side, byte_tokenizer) -> None:
    r"""By hand: :math:`h_t` of the last token of each row by itself, and :math:`z = W h_t`."""
    model = load_model(decoder, task=get_task("sequence"), label_space=SPACE).model
    byte_tokenizer.pad_token = END
    model.config.pad_token_id = 256
    if adapted:
        model = add_adapter(model, kind="lora", task=get_task("sequence"))
    model.eval()
    base = model.get_base_model() if adapted else model
    tap = FeatureTap(model)
    byte_tokenizer.padding_side = side
    batch = byte_tokenizer(TEXTS, padding=True, return_tensors="pt")
    if side == "left":  # absolute positions are counted from the first token
        batch["position_ids"] = (batch["attention_mask"].cumsum(1) - 1).clamp(min=0)
    with torch.no_grad():
        logits = model(**batch).logits
        features = tap.take()
        alone = [
            base.base_model(**byte_tokenizer(text, return_tensors="pt")).last_hidden_state[0, -1]
            for text in TEXTS
        ]
    assert features.shape == (4, tap.hidden_size)
    torch.testing.assert_close(features, torch.stack(alone), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(features @ output_layer(model).weight.T, logits)
    tap.remove()
    assert not base.base_model._forward_pre_hooks


@two_layouts
def test_features_of_many_rows(decoder, byte_tokenizer, chinese) -> None:
    model = load_model(decoder, task=get_task("sequence"), label_space=SPACE).model.eval()
    found = extract_features(model, chinese, tokenizer=byte_tokenizer, batch_size=5)
    with torch.no_grad():
        rows = [byte_tokenizer(t, return_tensors="pt").input_ids[:, :100] for t in chinese["text"]]
        alone = [model.base_model(ids).last_hidden_state[0, -1].numpy() for ids in rows]
    np.testing.assert_allclose(found, alone, atol=1e-4)


@pytest.mark.parametrize("decoder", ["llama"], indirect=True)
def test_a_tagger_has_features_of_every_token(decoder, byte_tokenizer) -> None:
    task = get_task("token")
    model = load_model(decoder, task=task, label_space=LabelSpace(("O", "B-LOC"))).model
    tap = FeatureTap(model)
    logits = model(**byte_tokenizer("北京", return_tensors="pt")).logits
    assert logits.shape == (1, 6, 2)
    assert tap.take().shape == (1, 6, 32)


@pytest.mark.parametrize("decoder", ["qwen3"], indirect=True)
def test_a_very_large_encoder_gets_lora_and_it_is_said(
    decoder, english, tmp_path, monkeypatch, caplog
) -> None:
    monkeypatch.setattr("xlingual.training.assembly.preset_for", lambda size: preset_for(10**9))
    with caplog.at_level(logging.WARNING, logger="xlingual"):
        trainer = trainer_of(decoder, tmp_path / "out", english, learning_rate=None)
    assert (trainer.args.adapter, trainer.args.learning_rate) == ("lora", 2e-4)
    assert "--adapter none trains the whole" in caplog.text
    caplog.clear()
    whole = trainer_of(decoder, tmp_path / "out", english, adapter="none")
    assert not hasattr(whole.model, "peft_config")
    assert "--adapter" not in caplog.text


@pytest.mark.parametrize("decoder", ["gpt2"], indirect=True)
def test_layer_decay_reaches_its_embeddings(decoder, english, tmp_path) -> None:
    trainer = trainer_of(
        decoder, tmp_path / "out", english, layer_decay=0.5, freeze_embeddings=False
    )
    groups = trainer.create_optimizer().param_groups
    rates = {id(p): group["lr"] for group in groups for p in group["params"]}
    encoder = trainer.model.transformer
    found = [rates[id(m.weight)] for m in (encoder.wte, encoder.wpe, encoder.h[0].ln_1)]
    assert found == [0.01 / 4, 0.01 / 4, 0.01 / 2]


@pytest.mark.parametrize("decoder", ["qwen3"], indirect=True)
def test_nothing_between_the_texts_of_a_pair_is_said(decoder, tmp_path, caplog) -> None:
    rows = Dataset.from_dict(
        {"text": ["很好", "很脏"], "text_pair": ["不错", "干净"], "label": ["是", "否"]}
    )
    args = TransferArguments(output_dir=str(tmp_path / "out"), report_to="none")
    with caplog.at_level(logging.WARNING, logger="xlingual"):
        TransferTrainer(decoder, args, train_dataset=rows, task="pair")
    assert "nothing between the two texts" in caplog.text


@pytest.mark.parametrize("decoder", ["qwen3"], indirect=True)
def test_frozen_features_give_results_and_no_folder(decoder, english, chinese, tmp_path) -> None:
    frozen = FrozenEncoder([decoder], task=get_task("sequence"), label_space=SPACE)
    assert frozen.max_length == 100
    frozen.fit(english)
    assert frozen.evaluate_transfer(source={"en": english}, targets={}).results()[
        "eval_en_accuracy"
    ]
    assert not frozen.save_model(tmp_path / "out")
    assert "has no bias" in str(frozen.reason_not_saved)


@pytest.mark.parametrize("decoder", ["llama"], indirect=True)
def test_masked_prediction_is_refused(decoder, tmp_path) -> None:
    with pytest.raises(ModelLoadError, match=r"architecture llama.*no MaskedLM head") as refused:
        continue_pretraining(decoder, TEXTS, output_dir=tmp_path / "out")
    assert "decoder" not in str(refused.value)


@pytest.mark.parametrize("decoder", ["qwen3"], indirect=True)
def test_a_folder_of_others_without_padding_is_served(decoder, byte_tokenizer) -> None:
    """Saved with transformers alone, for a batch size of one."""
    model = AutoModelForSequenceClassification.from_pretrained(decoder, num_labels=2)
    model.save_pretrained(decoder)
    rows = Predictor.from_pretrained(decoder, device="cpu").predict(TEXTS)
    with torch.no_grad():
        alone = [model.eval()(**byte_tokenizer(t, return_tensors="pt")).logits for t in TEXTS]
    expected = [logits.softmax(-1).max().item() for logits in alone]
    np.testing.assert_allclose([row.probability for row in rows], expected, atol=1e-5)
