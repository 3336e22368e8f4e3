"""Loading a classifier, and refusing one before it is read, with the reason."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from scipy.special import softmax
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
)

from tests.classifiers import (
    enlarge,
    save_classifier,
)
from tests.conftest import NEGATIVE, POSITIVE
from tests.inference.plain import LABELS, TEXTS, write_json
from xlingual.config.training import TransferArguments
from xlingual.errors import ConfigError, ModelLoadError
from xlingual.inference import Predictor, classifier_loading
from xlingual.training.trainer import TransferTrainer


@pytest.fixture(scope="module")
def adapter(request, encoders, tmp_path_factory):
    """A trained adapter folder with its base beside it, and the trainer's predictions."""
    kind, layout = request.param
    base = shutil.copytree(encoders[layout], tmp_path_factory.mktemp("base") / layout)
    encoder = AutoModelForMaskedLM.from_pretrained(base)
    enlarge(encoder)
    encoder.save_pretrained(base)
    folder = tmp_path_factory.mktemp("adapter")
    rows = [(a, label) for part, label in ((POSITIVE, "好评"), (NEGATIVE, "差评")) for _, a in part]
    dataset = Dataset.from_dict({"text": [r[0] for r in rows], "label": [r[1] for r in rows]})
    args = TransferArguments(
        output_dir=str(folder), adapter=kind, max_steps=3, learning_rate=1e-2, precision="fp32",
        per_device_train_batch_size=8, save_strategy="no", report_to="none", disable_tqdm=True,
        use_cpu=True,
    )  # fmt: skip
    trainer = TransferTrainer(str(base), args, train_dataset=dataset)
    trainer.train()
    enlarge(trainer.model)  # the adapter and the head
    trainer.save_model()
    write_json(folder / "all_results.json", {"label_names": list(trainer.label_space.names)})
    expected = trainer.predict_labels(dataset).probs
    names = trainer.label_space.names
    return folder, Path(base), dataset["text"][:], expected[:, [names.index(n) for n in LABELS[:2]]]


ADAPTERS = pytest.mark.parametrize(
    "adapter",
    [("lora", "xlm-r"), ("dora", "bert"), ("ia3", "deberta-v3"), ("lora", "modernbert")],
    indirect=True,
    ids="-".join,
)


@ADAPTERS
def test_an_adapter_with_and_without_its_base_beside_it(adapter, tmp_path):
    folder, base, texts, expected = adapter
    alone = Path(shutil.copytree(folder, tmp_path / "alone"))
    for name in ("config.json", "model.safetensors"):
        (alone / name).unlink()
    for place in (folder, alone):
        found = Predictor.from_pretrained(place, device="cpu").predict(texts)
        rows = [[answer.probabilities[name] for name in LABELS[:2]] for answer in found]
        np.testing.assert_allclose(rows, expected, atol=1e-4)
    assert np.ptp(expected[:, 0]) > 0.05  # or any model would do
    moved = base.with_name("moved")
    base.rename(moved)
    try:
        with pytest.raises(ModelLoadError, match=r"its base model .* is missing"):
            Predictor.from_pretrained(alone)
    finally:
        moved.rename(base)


@pytest.mark.parametrize("adapter", [("lora", "bert")], indirect=True)
def test_an_adapter_on_another_base_is_refused(adapter, encoders, tmp_path):
    folder, _, _, _ = adapter
    alone = Path(shutil.copytree(folder, tmp_path / "alone"))
    for name in ("config.json", "model.safetensors"):
        (alone / name).unlink()
    content = json.loads((alone / "adapter_config.json").read_text(encoding="utf-8"))
    other = tmp_path / "other"  # as after a change of the model on the hub: one layer less
    shutil.copytree(encoders["bert"], other)
    config = json.loads((other / "config.json").read_text(encoding="utf-8"))
    write_json(other / "config.json", config | {"num_hidden_layers": 1})
    write_json(alone / "adapter_config.json", content | {"base_model_name_or_path": str(other)})
    with pytest.raises(ModelLoadError, match="does not fit its base"):
        Predictor.from_pretrained(alone)
    hub = {"base_model_name_or_path": "nobody/nothing", "revision": "v2"}
    write_json(alone / "adapter_config.json", content | hub)
    with pytest.raises(ModelLoadError, match="'nobody/nothing' at revision 'v2' is missing"):
        Predictor.from_pretrained(alone)


def test_a_hub_id_comes_from_the_local_cache(folder, tmp_path, monkeypatch):
    import huggingface_hub.constants

    repository = tmp_path / "models--someone--hotels"
    shutil.copytree(folder, repository / "snapshots" / ("a" * 40))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    assert Predictor.from_pretrained("someone/hotels").label_names == LABELS
    with pytest.raises(ModelLoadError, match=r"at revision 'v9'.*HF_HUB_OFFLINE"):
        Predictor.from_pretrained("someone/hotels", revision="v9")


@pytest.mark.parametrize("name", ["no/such/folder", "./nothing", "bad id!", "someone/nothing"])
def test_a_model_that_is_nowhere(name):
    with pytest.raises(ModelLoadError):
        Predictor.from_pretrained(name)


def test_pickled_weights_are_refused_before_they_are_read(copy, monkeypatch):
    monkeypatch.setattr(torch, "load", lambda *a, **k: pytest.fail("a pickle was read"))
    state = AutoModelForSequenceClassification.from_pretrained(copy).state_dict()
    torch.save(state, copy / "pytorch_model.bin")
    assert Predictor.from_pretrained(copy).label_names == LABELS  # safetensors are there as well
    (copy / "model.safetensors").unlink()
    with pytest.raises(ModelLoadError, match=r"pickled weights .*refused"):
        Predictor.from_pretrained(copy)
    (copy / "pytorch_model.bin").rename(copy / "adapter_model.bin")
    write_json(copy / "adapter_config.json", {"peft_type": "LORA"})
    with pytest.raises(ModelLoadError, match=r"pickled weights .*refused"):
        Predictor.from_pretrained(copy)


def test_foreign_code_is_never_run(copy):
    config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
    (copy / "evil.py").write_text("raise SystemExit('foreign code was run')")
    config |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.C", "AutoModel": "evil.M"}}
    write_json(copy / "config.json", config)
    with pytest.raises(ModelLoadError, match="cannot load"):
        Predictor.from_pretrained(copy)


def test_folders_that_are_no_classifier(copy, encoder, tmp_path):
    with pytest.raises(ModelLoadError, match=r"no trained classification head.*MaskedLM"):
        Predictor.from_pretrained(encoder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelLoadError, match=r"holds no model.*nothing"):
        Predictor.from_pretrained(tmp_path / "empty")
    with pytest.raises(ModelLoadError, match="is a file"):
        Predictor.from_pretrained(copy / "config.json")
    one = save_classifier(encoder, tmp_path / "one", labels=("score",))
    with pytest.raises(ModelLoadError, match="one number"):
        Predictor.from_pretrained(one)


def test_damaged_folders(copy):
    weights = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(ModelLoadError, match="cannot load"):
        Predictor.from_pretrained(copy)
    (copy / "model.safetensors").unlink()
    with pytest.raises(ModelLoadError, match="no weights"):
        Predictor.from_pretrained(copy)
    (copy / "calibration.json").write_text("{")
    (copy / "model.safetensors").write_bytes(weights)
    with pytest.raises(ModelLoadError, match=r"calibration.json is not valid JSON"):
        Predictor.from_pretrained(copy)


def test_a_missing_parameter_is_an_error_and_not_a_random_head(copy):
    from safetensors.torch import load_file, save_file

    state = load_file(copy / "model.safetensors")
    state.pop("classifier.weight")
    save_file(state, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelLoadError, match=r"random: classifier.weight"):
        Predictor.from_pretrained(copy)


@pytest.mark.parametrize(
    "argument",
    [
        {"backend": "tensorflow"},
        {"device": "cuda:99"},
        {"device": "abacus"},
        {"precision": "int3"},
        {"max_length": 2},
        {"token_budget": 0},
    ],
)
def test_impossible_arguments(folder, argument):
    with pytest.raises(ConfigError, match=r"|".join(argument)):
        Predictor.from_pretrained(folder, **argument)


def test_half_precision_answers_alike(folder, predictor):
    half = Predictor.from_pretrained(folder, device="cpu", precision="bf16").predict(TEXTS)
    whole = predictor.predict(TEXTS)
    same = [a.label == b.label for a, b in zip(half, whole, strict=True)]
    assert sum(same) >= len(TEXTS) - 2
    assert [a.probability for a in half] != [b.probability for b in whole]


def test_another_backend_is_any_callable(copy, monkeypatch):
    """Any callable that returns logits can run an exported model."""
    loaded: list[Path] = []

    def load_onnx_model(folder, *, precision):
        assert precision == "auto"
        loaded.append(Path(folder))
        return lambda batch: np.tile(np.float32([0, 3, 0]), (len(batch["input_ids"]), 1))

    monkeypatch.setattr(classifier_loading, "load_onnx_model", load_onnx_model)
    (copy / "model.safetensors").unlink()  # an exported folder need not have it
    found = Predictor.from_pretrained(copy, backend="onnxruntime").predict(TEXTS)
    assert loaded == [copy]
    assert {answer.label for answer in found} == {LABELS[1]}
    assert found[0].probability == pytest.approx(softmax([0, 3, 0])[1])
