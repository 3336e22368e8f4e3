from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification

from xlingual import (
    LabelSpace,
    TransferArguments,
    TransferTrainer,
    get_task,
    load_model,
    load_tokenizer,
)
from xlingual.errors import LabelSpaceError, ModelLoadError
from xlingual.models.adapters import add_adapter
from xlingual.models.loading import name_labels, own_label_space
from xlingual.models.memory import peak_memory_mib
from xlingual.models.parts import copy_weights, count_parameters, freeze, head_module_names
from xlingual.training.parameter_groups import parameter_groups

LAYOUTS = ("bert", "xlm-r", "deberta-v3", "modernbert")
SEQUENCE = get_task("sequence")
SPACE = LabelSpace(("差评", "好评"))
SENTENCES = ["房间干净又安静", "一點也不差", "check in很慢", "never again"]


def fresh(path, space: LabelSpace = SPACE, *, task: str = "sequence", seed: int = 1):
    torch.manual_seed(seed)
    return load_model(str(path), task=get_task(task), label_space=space)


@pytest.fixture(params=LAYOUTS)
def layout(request, encoders) -> Path:
    return encoders[request.param]


@pytest.fixture
def fine_tuned(layout, tokenizer, tmp_path) -> Path:
    """A checkpoint whose head knows "negative" and "positive"."""
    folder = tmp_path / "fine_tuned"
    fresh(layout, LabelSpace(("negative", "positive"))).model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def names_of(model, space: LabelSpace, tokenizer) -> list[dict[str, float]]:
    """Logits by label name."""
    batch = tokenizer(SENTENCES, padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = model.eval()(**batch).logits
    return [
        dict(zip((n.lower() for n in space.names), row, strict=True)) for row in logits.tolist()
    ]


def test_a_pretrained_encoder_gets_a_head(layout) -> None:
    model, space, new = fresh(layout)
    assert space == SPACE
    assert model.config.id2label == {0: "差评", 1: "好评"}
    assert model.config.label2id == {"差评": 0, "好评": 1}
    assert model.config.problem_type == "single_label_classification"
    heads = [name for name, _ in model.named_parameters() if name.split(".")[0] in ("classifier",)]
    assert heads
    assert set(heads) <= new
    stored = load_file(layout / "model.safetensors")
    for name, parameter in model.named_parameters():
        assert (name in new) != (name in stored and torch.equal(stored[name], parameter))


def test_loading_is_quiet(fine_tuned, caplog: pytest.LogCaptureFixture, capfd) -> None:
    """Neither the table of missing keys nor what its silencing could set off."""
    report = logging.getLogger("transformers.modeling_utils")
    before = (report.level, list(report.filters))
    capfd.readouterr()
    fresh(fine_tuned, LabelSpace(("negative", "positive")))
    fresh(fine_tuned, LabelSpace(("a", "b", "c")))
    ours = [record for record in caplog.records if record.name.startswith("xlingual")]
    assert caplog.records == ours
    assert "transformers" not in "".join(capfd.readouterr())
    assert (report.level, list(report.filters)) == before


@pytest.mark.parametrize(
    ("task", "problem_type"),
    [("pair", "single_label_classification"), ("multi_label", "multi_label_classification")],
)
def test_tasks_say_what_the_head_is_for(encoder, task: str, problem_type: str) -> None:
    assert fresh(encoder, task=task).model.config.problem_type == problem_type


def test_token_head(layout) -> None:
    model, _, new = fresh(layout, LabelSpace(("O", "B-LOC", "I-LOC")), task="token")
    assert type(model).__name__.endswith("ForTokenClassification")
    assert model(input_ids=torch.tensor([[2, 7, 8, 3]])).logits.shape == (1, 4, 3)
    assert "classifier.weight" in new


def test_the_head_is_kept_with_the_labels_it_knows(fine_tuned, tokenizer) -> None:
    space = LabelSpace(("negative", "positive"))
    before = names_of(fresh(fine_tuned, space).model, space, tokenizer)
    # Another order, another case: the checkpoint's own order and spelling are what is used.
    model, kept, new = fresh(fine_tuned, LabelSpace(("Positive", "NEGATIVE")), seed=9)
    assert kept == space
    assert new == frozenset()
    assert model.config.id2label == {0: "negative", 1: "positive"}
    assert names_of(model, kept, tokenizer) == before


def test_as_many_labels_with_other_names_get_a_new_head(
    fine_tuned, caplog: pytest.LogCaptureFixture
) -> None:
    stored = load_file(fine_tuned / "model.safetensors")
    with caplog.at_level(logging.WARNING, logger="xlingual"):
        model, space, new = fresh(fine_tuned, LabelSpace(("差评", "好评")), seed=9)
    assert "the checkpoint's head has other labels" in caplog.text
    assert space.names == ("差评", "好评")
    assert model.config.id2label == {0: "差评", 1: "好评"}
    final = [
        name
        for name, parameter in model.named_parameters()
        if name.startswith("classifier") and len(parameter) == 2
    ]
    assert final
    assert set(final) <= new
    for name, parameter in model.named_parameters():
        if name not in new:
            assert torch.equal(stored[name], parameter), name
        elif parameter.dim() > 1:
            assert not torch.equal(stored[name], parameter), name


def test_more_labels_get_a_new_head(fine_tuned) -> None:
    model, space, new = fresh(fine_tuned, LabelSpace(("好评", "中评", "差评")))
    assert len(space) == model.config.num_labels == 3
    assert any(name.startswith("classifier") for name in new)
    assert all(not name.startswith(model.base_model_prefix) for name in new)


def test_weights_stored_in_half_precision_are_trained_in_float32(encoder, tmp_path) -> None:
    folder = tmp_path / "half"
    shutil.copytree(encoder, folder)
    state = {n: t.half() for n, t in load_file(folder / "model.safetensors").items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "dtype": "float16"}), "utf-8")
    model = fresh(folder).model
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    torch.testing.assert_close(
        model.get_input_embeddings().weight,
        state["model.embeddings.tok_embeddings.weight"].float(),
        atol=0,
        rtol=0,
    )


@pytest.mark.parametrize("load", [lambda path: fresh(path), lambda path: load_tokenizer(path)])
@pytest.mark.parametrize("name", ["no/such-model", "./no_such_folder", "/no/such/folder", "a b c"])
def test_a_model_that_is_not_there(name: str, load) -> None:
    with pytest.raises(ModelLoadError) as caught:
        load(name)
    message = str(caught.value)
    assert message.startswith(f"cannot load the model {name!r}: it is not a local folder")
    assert "HF_HUB_OFFLINE" in message
    assert "HF_ENDPOINT" in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: [file.unlink() for file in folder.iterdir()],
        lambda folder: (folder / "config.json").unlink(),
        lambda folder: (folder / "model.safetensors").unlink(),
        lambda folder: (folder / "config.json").write_text("{"),
        lambda folder: (folder / "config.json").write_text('{"model_type": "no_such_model"}'),
        lambda folder: (folder / "model.safetensors").write_bytes(b"version https://git-lfs"),
        lambda folder: (folder / "model.safetensors").write_bytes(b""),
    ],
    ids=["empty", "config", "weights", "not json", "unknown", "pointer", "no bytes"],
)
def test_a_folder_without_a_model(encoder, tmp_path, spoil) -> None:
    folder = tmp_path / "model"
    shutil.copytree(encoder, folder)
    spoil(folder)
    with pytest.raises(ModelLoadError, match="the folder exists, but holds no model"):
        fresh(folder)


def test_pickled_weights_are_refused(encoder, tmp_path) -> None:
    folder = tmp_path / "pickled"
    shutil.copytree(encoder, folder)
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    with pytest.raises(ModelLoadError, match="pickled weights are refused"):
        fresh(folder)


def test_a_folder_without_a_tokenizer(encoder, tmp_path) -> None:
    shutil.copytree(encoder, tmp_path / "model", ignore=shutil.ignore_patterns("tokenizer*"))
    with pytest.raises(ModelLoadError, match="and a tokenizer"):
        load_tokenizer(str(tmp_path / "model"))


@pytest.mark.parametrize("adapter", ["none", "lora"])
@pytest.mark.parametrize("head", [True, False])
def test_copy_weights(layout, adapter: str, head: bool) -> None:
    def model(seed: int, space: LabelSpace):
        loaded = fresh(layout, space, seed=seed)
        if adapter == "none":
            return loaded.model
        adapted = add_adapter(
            loaded.model, kind=adapter, task=SEQUENCE, new_parameters=loaded.new_parameters
        )
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                torch.nn.init.normal_(parameter, generator=generator)
        return adapted

    other = SPACE if head else LabelSpace(("好评", "中评", "差评"))
    trained, start = model(1, SPACE), model(2, other)
    with torch.no_grad():
        trained.get_input_embeddings().weight += 1.0
    heads = head_module_names(
        getattr(start, "base_model", start).model if adapter != "none" else start
    )
    before = {name: tensor.clone() for name, tensor in start.state_dict().items()}
    copy_weights(trained, start, head=head)
    source = trained.state_dict()
    for name, tensor in start.state_dict().items():
        is_head = bool(set(name.split(".")) & set(heads))
        expected = source[name] if head or not is_head else before[name]
        assert torch.equal(tensor, expected), name
    if adapter != "none":
        assert any("lora_B" in name and source[name].abs().sum() > 0 for name in source)


@pytest.mark.parametrize(
    ("layout_name", "heads"),
    [
        ("bert", ["classifier"]),
        ("xlm-r", ["classifier"]),
        ("deberta-v3", ["pooler", "classifier"]),
        ("modernbert", ["head", "classifier"]),
    ],
)
def test_what_the_head_is(encoders, layout_name: str, heads: list[str]) -> None:
    assert head_module_names(fresh(encoders[layout_name]).model) == heads


def test_freezing(layout) -> None:
    def trained(**options) -> set[str]:
        model = fresh(layout).model
        freeze(model, **options)
        return {name for name, parameter in model.named_parameters() if parameter.requires_grad}

    everything = trained()
    prefix = fresh(layout).model.base_model_prefix
    (table,) = everything - trained(embeddings=True)
    assert table.endswith(("word_embeddings.weight", "tok_embeddings.weight"))
    assert trained(encoder=True) == {n for n in everything if not n.startswith(f"{prefix}.")}


def test_counting_parameters(encoder) -> None:
    model = fresh(encoder).model
    everything = sum(parameter.numel() for parameter in model.parameters())
    assert count_parameters(model) == count_parameters(model, trainable=True) == everything
    freeze(model, encoder=True)
    assert 0 < count_parameters(model, trainable=True) < everything / 2
    assert count_parameters(model) == everything


def test_peak_memory_is_that_of_this_process() -> None:
    assert 50 < peak_memory_mib() < 100_000


def groups_of(model, **options) -> list[dict]:
    return parameter_groups(
        model,
        learning_rate=1.0,
        weight_decay=0.1,
        decay_parameters={name for name, p in model.named_parameters() if p.dim() > 1},
        **options,
    )


@pytest.mark.parametrize("adapter", ["none", "lora", "dora", "ia3"])
def test_every_trained_parameter_is_in_one_group(layout, adapter: str) -> None:
    model, _, new = fresh(layout)
    if adapter == "none":
        freeze(model, embeddings=True)
    else:
        model = add_adapter(model, kind=adapter, task=SEQUENCE, new_parameters=new)
    groups = groups_of(model, head_learning_rate=5.0, layer_decay=0.5)
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    wanted = {id(p): name for name, p in model.named_parameters() if p.requires_grad}
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == wanted.keys()
    rates = {
        wanted[id(parameter)]: group["lr"] for group in groups for parameter in group["params"]
    }
    decays = {wanted[id(p)]: group["weight_decay"] for group in groups for p in group["params"]}
    # With an adapter, a pooler that no checkpoint gave is trained in full, as the head is.
    heads = {name for name in rates if "classifier" in name or "modules_to_save" in name}
    assert heads
    assert {rates[name] for name in heads} == {5.0}
    blocks = {
        number: {rate for name, rate in rates.items() if f".{number}." in name} - {5.0}
        for number in (0, 1)
    }
    assert blocks == {0: {0.5}, 1: {1.0}}
    sizes = dict(model.named_parameters())
    assert all((decays[name] == 0.1) == (sizes[name].dim() > 1) for name in rates)


def test_learning_rates_of_embeddings(layout) -> None:
    model = fresh(layout).model
    table = model.get_input_embeddings().weight

    def rate(**options) -> float:
        groups = groups_of(model, **options)
        return next(g["lr"] for g in groups if any(p is table for p in g["params"]))

    assert rate() == 1.0
    assert rate(layer_decay=0.5) == 0.25  # below both layers
    assert rate(layer_decay=0.5, embedding_learning_rate=1e-3) == 1e-3


def loaded(encoder: str, **config: object):
    return AutoModelForSequenceClassification.from_pretrained(encoder, **config)


def test_a_loaded_model_says_what_its_head_knows(encoder) -> None:
    assert own_label_space(loaded(encoder, num_labels=3)) is None
    model = loaded(encoder, id2label={0: "差评", 1: "好评"}, label2id={"差评": 0, "好评": 1})
    assert own_label_space(model) == SPACE


def test_a_loaded_model_without_names_gets_those_of_the_data(encoder) -> None:
    model = loaded(encoder, num_labels=2)
    assert name_labels(model, SPACE) == SPACE
    assert model.config.id2label == {0: "差评", 1: "好评"}
    assert model.config.label2id == {"差评": 0, "好评": 1}


def test_a_loaded_model_keeps_the_order_of_its_head(encoder) -> None:
    names = {0: "Positive", 1: "negative"}
    model = loaded(encoder, id2label=names, label2id={"Positive": 0, "negative": 1})
    space = name_labels(model, LabelSpace(("negative", "positive")))
    assert space.names == ("Positive", "negative")
    assert model.config.id2label == names


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"num_labels": 3}, "3 without names"),
        ({"id2label": {0: "neg", 1: "pos"}, "label2id": {"neg": 0, "pos": 1}}, "neg, pos"),
    ],
)
def test_a_loaded_model_with_another_head_is_refused(encoder, config: dict, words: str) -> None:
    """Equal numbers of labels are not enough: training would go on with swapped meanings."""
    with pytest.raises(LabelSpaceError, match=rf"other labels \({words}\) than the data"):
        name_labels(loaded(encoder, **config), SPACE)


def test_the_trainer_takes_a_model_fresh_from_transformers(encoder, english, tmp_path) -> None:
    args = TransferArguments(output_dir=str(tmp_path), max_steps=1, report_to="none")
    model = loaded(encoder, num_labels=2)
    trainer = TransferTrainer(model, args, train_dataset=english)
    assert trainer.label_space.names == ("negative", "positive")
    trainer.save_model()
    saved = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert saved["id2label"] == {"0": "negative", "1": "positive"}
    swapped = LabelSpace(("positive", "negative"))
    again = TransferTrainer(model, args, train_dataset=english, label_space=swapped)
    assert again.label_space.names == ("negative", "positive")
    assert again.train_dataset["labels"][:] == trainer.train_dataset["labels"][:]
