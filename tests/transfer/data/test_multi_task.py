"""Several tasks on one encoder: set sizes, the loss of each head, folders that load alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tests.training.test_trainer import arguments
from xlingual import (
    LabelSpace,
    TaskHeads,
    TransferData,
    TransferTrainer,
    get_task,
    mix_domains,
    number_groups,
    save_task_folders,
    temper_sizes,
)
from xlingual.errors import ConfigError, LabelSpaceError

SPACES = {
    "sentiment": LabelSpace(("negative", "positive")),
    "topic": LabelSpace(("positive", "service", "room")),  # a name of the other task, on purpose
}


def rows_of(sizes: dict[str, int]) -> Dataset:
    names = [name for name, size in sizes.items() for _ in range(size)]
    return Dataset.from_dict({"text": [f"行{i}" for i in range(len(names))], "domain_name": names})


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0, math.inf])
def test_sizes_are_tempered_and_no_row_is_lost(temperature):
    sizes = {"big": 90, "small": 10, "mid": 31}
    tempered = temper_sizes(rows_of(sizes), sampling_temperature=temperature, seed=1)
    n = np.array(list(sizes.values()), dtype=float)
    p = n ** (1 / temperature) / (n ** (1 / temperature)).sum()
    expected = np.round(p * (n / p).max()).astype(int)
    names = tempered["domain_name"][:]
    assert [names.count(name) for name in sizes] == expected.tolist()
    assert len(set(tempered["text"])) == 131
    counts = [tempered["text"][:].count(text) for text in set(tempered["text"]) if names]
    assert max(counts) - 1 <= 90 / 10


def test_the_same_seed_repeats_the_same_rows():
    rows = rows_of({"big": 50, "small": 7})
    first, again, other = (
        temper_sizes(rows, sampling_temperature=2, seed=seed)["text"][:] for seed in (3, 3, 4)
    )
    assert first == again != other


def test_a_temperature_below_one_is_refused():
    for temperature in (0.5, float("nan")):
        with pytest.raises(ConfigError, match="at least 1"):
            temper_sizes(rows_of({"a": 2}), sampling_temperature=temperature)


def test_groups_are_numbered_by_name():
    assert number_groups(rows_of({"b": 1, "a": 2}))["group"][:] == [1, 0, 0]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_of_a_row_sees_its_own_labels_alone(smoothing):
    heads = TaskHeads(SPACES)
    task = heads.task(get_task("sequence"))
    logits = torch.randn(5, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    labels = torch.tensor([0, 1, 2, 4, -100])
    class_weights = torch.tensor([1.0, 2.0, 3.0, 0.5, 1.5])
    found = task.loss_per_row(
        logits, labels, class_weights=class_weights, label_smoothing=smoothing
    )
    z, w = logits.detach().double().numpy(), class_weights.numpy()
    expected = []
    for row, label in enumerate(labels.tolist()):
        if label < 0:
            expected.append(0.0)
            continue
        part = slice(0, 2) if label < 2 else slice(2, 5)
        log_probs = z[row, part] - np.log(np.exp(z[row, part]).sum())
        size = len(log_probs)
        hard = -w[label] * log_probs[label - part.start]
        soft = -(w[part] * log_probs).sum() / size
        expected.append((1 - smoothing) * hard + smoothing * soft)
    assert np.allclose(found.detach().numpy(), expected, atol=1e-5)
    found.sum().backward()
    assert logits.grad is not None
    assert logits.grad[0, 2:].abs().sum() == 0, "the other head learns nothing"
    assert logits.grad[4].abs().sum() == 0


def test_labels_get_their_tasks_name():
    heads = TaskHeads(SPACES)
    rows = Dataset.from_dict(
        {"text": ["a", "b"], "label": ["positive", "positive"], "domain_name": list(SPACES)}
    )
    assert heads.join(rows)["label"][:] == ["sentiment/positive", "topic/positive"]
    assert heads.label_space.names[0] == "sentiment/negative"
    assert heads.parts == {"sentiment": slice(0, 2), "topic": slice(2, 5)}


def test_the_data_of_all_tasks_and_of_one(english):
    heads = TaskHeads(SPACES)
    sets = {"sentiment": english, "topic": english}
    space = LabelSpace(("negative", "positive"))
    data = TransferData(
        get_task("sequence"), space, space, source_train=sets, source_validation=sets,
        target_test={"topic": english},
    )  # fmt: skip
    everything = heads.as_one_task(data)
    assert everything.label_space == heads.label_space
    assert everything.source_train == data.source_train
    assert everything.selection_sets() == {}, "no single score is the best for all tasks"
    topic, sentiment = heads.data_of("topic", data), heads.data_of("sentiment", data)
    assert topic.label_space == SPACES["topic"]
    assert list(topic.evaluation_sets("source_validation")) == ["en"]
    assert topic.evaluation_sets("target_test") == {"zh": english}
    assert sentiment.evaluation_sets("target_test") == {}


def test_one_task_or_one_label_is_too_few():
    with pytest.raises(ConfigError, match="two tasks or more"):
        TaskHeads({"sentiment": SPACES["sentiment"]})
    with pytest.raises(LabelSpaceError, match="one label only"):
        TaskHeads({**SPACES, "length": LabelSpace(("long",))})


@pytest.mark.parametrize("layout", ["modernbert", "bert", "xlm-r", "deberta-v3"])
def test_one_training_two_folders_that_load_by_themselves(tmp_path, encoders, english, layout):
    heads = TaskHeads(SPACES)
    topics = Dataset.from_dict(
        {"text": english["text"][:12], "label": ["service", "room", "positive"] * 4}
    )
    mixture = heads.join(mix_domains({"sentiment": english, "topic": topics}))
    trainer = TransferTrainer(
        str(encoders[layout]),
        arguments(tmp_path, max_steps=4),
        train_dataset=mixture,
        task=heads.task(get_task("sequence")),
        label_space=heads.label_space,
    )
    trainer.train()
    trainer.save_model(str(tmp_path / "shared"))
    folders = save_task_folders(tmp_path / "shared", heads, tmp_path)
    text = "房间很干净 and the staff friendly"
    tokenizer = AutoTokenizer.from_pretrained(folders["topic"])
    inputs = tokenizer(text, return_tensors="pt")
    trainer.model.eval()
    with torch.no_grad():
        everything = trainer.model(**inputs.to(trainer.model.device)).logits.cpu()
        for name, part in heads.parts.items():
            model = AutoModelForSequenceClassification.from_pretrained(folders[name]).eval()
            assert tuple(model.config.id2label.values()) == SPACES[name].names
            logits = model(**inputs.to("cpu")).logits
            assert torch.allclose(logits, everything[:, part], atol=1e-6)


def test_a_folder_of_other_tasks_is_refused(tmp_path, encoder, english):
    trainer = TransferTrainer(encoder, arguments(tmp_path), train_dataset=english)
    trainer.save_model(str(tmp_path / "other"))
    with pytest.raises(LabelSpaceError, match="expected sentiment/negative"):
        save_task_folders(tmp_path / "other", TaskHeads(SPACES), tmp_path)
