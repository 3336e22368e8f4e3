"""Language adapters: trained alone, added, dropped and swapped, as their formula says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForMaskedLM

from tests.conftest import NEGATIVE, POSITIVE
from xlingual import (
    LabelSpace,
    TransferArguments,
    TransferTrainer,
    merge_language_adapter,
    swap_language_adapter,
    train_language_adapter,
    train_language_encoder,
)
from xlingual.config.methods import LanguageAdapterArguments
from xlingual.errors import ConfigError, DataError, ModelLoadError
from xlingual.tasks import SEQUENCE

PAIRS = POSITIVE + NEGATIVE
ENGLISH, CHINESE = ([pair[side] for pair in PAIRS] for side in (0, 1))
SPACE = LabelSpace(("negative", "positive"))
RANK = 2


def train(encoder: str, texts: list[str], folder, **options) -> str:
    usual = {"num_train_epochs": 1, "learning_rate": 0.02, "batch_size": 8, "rank": RANK}
    return train_language_adapter(encoder, texts, output_dir=folder, **{**usual, **options})


@pytest.fixture(scope="module")
def adapters(encoder, tmp_path_factory) -> list[str]:
    """The English and the Chinese adapter."""
    folder = tmp_path_factory.mktemp("language")
    return [train(encoder, texts, folder / name) for name, texts in
            (("en", ENGLISH), ("zh", CHINESE))]  # fmt: skip


def pairs_of(folder: str) -> dict[str, np.ndarray]:
    """The update that an adapter adds to each weight, by name: 2 B A."""
    state = load_file(f"{folder}/adapter_model.safetensors")
    return {
        name.removeprefix("base_model.model.").replace(".lora_A", ""): 2
        * state[name.replace("lora_A", "lora_B")].double().numpy()
        @ state[name].double().numpy()
        for name in state
        if "lora_A" in name
    }


def weights_of(model) -> dict[str, np.ndarray]:
    return {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}


def test_it_holds_pairs_in_the_blocks_alone(adapters):
    for folder in adapters:
        added = pairs_of(folder)
        assert added
        assert all("layers" in name for name in added)
        assert all(np.abs(delta).max() > 0 for delta in added.values())
        names = set(load_file(f"{folder}/adapter_model.safetensors"))
        assert all(".lora_" in name for name in names), "head and embeddings stay as they were"


@pytest.mark.parametrize("drop_last_layer", [False, True])
def test_a_merge_adds_the_pairs_and_leaves_the_rest(encoder, adapters, tmp_path, drop_last_layer):
    folder = merge_language_adapter(
        encoder, adapters[1], tmp_path / "zh", drop_last_layer=drop_last_layer
    )
    before = weights_of(AutoModelForMaskedLM.from_pretrained(encoder, dtype=torch.float32))
    after = weights_of(AutoModelForMaskedLM.from_pretrained(folder, dtype=torch.float32))
    added = pairs_of(adapters[1])
    assert before.keys() == after.keys()
    for name, weight in before.items():
        is_dropped = drop_last_layer and "layers.1." in name
        if name in added and not is_dropped:
            np.testing.assert_allclose(after[name], weight + added[name], atol=1e-6)
        else:
            np.testing.assert_array_equal(after[name], weight)


def test_a_swap_is_the_sum_of_the_other_language_and_the_task(encoder, adapters, tmp_path, english):
    folders = [
        merge_language_adapter(encoder, adapter, tmp_path / name)
        for adapter, name in zip(adapters, ("en", "zh"), strict=True)
    ]
    args = TransferArguments(
        output_dir=str(tmp_path / "task"), adapter="lora", adapter_rank=RANK, max_steps=2,
        learning_rate=0.02, precision="fp32", disable_tqdm=True, report_to="none",
    )  # fmt: skip
    trainer = TransferTrainer(folders[0], args, train_dataset=english, label_space=SPACE)
    trainer.train()
    trainer.save_model()
    models = [
        swap_language_adapter(args.output_dir, folder, task=SEQUENCE, label_space=SPACE)
        for folder in folders
    ]
    source, target = (weights_of(model) for model in models)
    deltas = [pairs_of(adapter) for adapter in adapters]
    task = pairs_of(args.output_dir)
    first = weights_of(AutoModelForMaskedLM.from_pretrained(encoder, dtype=torch.float32))
    for name in source:
        if name in task:
            expected = first[name] + deltas[1][name] + task[name]
            np.testing.assert_allclose(target[name], expected, atol=1e-6)
            arithmetic = source[name] - deltas[0][name] + deltas[1][name]
            np.testing.assert_allclose(target[name], arithmetic, atol=1e-6)
        else:
            np.testing.assert_array_equal(source[name], target[name])
    batch = trainer.processing_class(ENGLISH[:3], padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = trainer.model.eval()(**batch).logits
        torch.testing.assert_close(models[0](**batch).logits, expected, atol=1e-4, rtol=1e-4)
    assert models[1].config.id2label == SPACE.id2label
    assert not any("lora" in name for name in target)


def test_one_seed_is_one_adapter_and_another_is_another(encoder, adapters, tmp_path):
    same = pairs_of(train(encoder, CHINESE, tmp_path / "same"))
    other = pairs_of(train(encoder, CHINESE, tmp_path / "other", seed=1))
    first = pairs_of(adapters[1])
    assert all((same[name] == first[name]).all() for name in first)
    assert any((other[name] != first[name]).any() for name in first)


def test_killed_and_resumed(encoder, tmp_path, monkeypatch):
    from transformers import Trainer

    whole = train(encoder, CHINESE, tmp_path / "whole", num_train_epochs=2)
    save = Trainer._save_checkpoint

    def killed(self, *args, **kwargs):
        save(self, *args, **kwargs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_save_checkpoint", killed)
        with pytest.raises(KeyboardInterrupt):
            train(encoder, CHINESE, tmp_path / "part", num_train_epochs=2)
    part = train(encoder, CHINESE, tmp_path / "part", num_train_epochs=2)
    first, second = pairs_of(whole), pairs_of(part)
    assert all((first[name] == second[name]).all() for name in first)


def test_bad_input(encoder, encoders, adapters, tmp_path):
    with pytest.raises(DataError, match="needs text"):
        train(encoder, ["  "], tmp_path / "empty")
    with pytest.raises(ModelLoadError, match="holds no model that can be read"):
        train(str(tmp_path), CHINESE, tmp_path / "none")
    with pytest.raises(ModelLoadError, match="is missing or does not fit its base model"):
        merge_language_adapter(encoder, tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(ModelLoadError, match="is missing or does not fit its base model"):
        merge_language_adapter(str(encoders["bert"]), adapters[0], tmp_path / "out")
    assert not (tmp_path / "out" / "model.safetensors").exists()
    with pytest.raises(ConfigError, match="at least 1"):
        LanguageAdapterArguments(language_adapter_rank=0)


def test_trained_and_merged_in_one_call(encoder, tmp_path):
    made = train_language_encoder(
        encoder, CHINESE, adapter_dir=tmp_path / "adapter", encoder_dir=tmp_path / "encoder",
        num_train_epochs=1, learning_rate=0.02, batch_size=8, rank=RANK,
    )  # fmt: skip
    merged = merge_language_adapter(encoder, tmp_path / "adapter", tmp_path / "again")
    one, other = (load_file(f"{folder}/model.safetensors") for folder in (made, merged))
    assert made == str(tmp_path / "encoder")
    assert all(torch.equal(one[name], other[name]) for name in other)
