"""The stages of a run: their folders, what each starts from, and what it may change."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.classifiers import save_classifier
from xlingual import (
    CoralLoss,
    LabelSpace,
    ModelArguments,
    Stages,
    TransferArguments,
    TransferData,
    get_task,
    mix_domains,
)
from xlingual.errors import OutputError

SPACE = LabelSpace(("negative", "positive"))


@pytest.fixture
def data(english, chinese) -> TransferData:
    return TransferData(
        get_task("sequence"),
        SPACE,
        SPACE,
        source_train={"products": english},
        source_validation={"products": english.select([0, 30])},
        target_unlabeled={"hotel": chinese.remove_columns("label")},
    )


def stages_of(encoder, data, folder, **settings) -> Stages:
    usual = {
        "output_dir": str(folder),
        "max_steps": 2,
        "per_device_train_batch_size": 8,
        "precision": "fp32",
        "save_strategy": "no",
        "disable_tqdm": True,
        "freeze_embeddings": False,
    }
    args = TransferArguments(**{**usual, **settings})
    return Stages(ModelArguments(model_name_or_path=encoder), args, data)


def weights(trainer) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def test_a_stage_has_a_folder_and_settings_of_its_own(tmp_path, encoder, data):
    stages = stages_of(encoder, data, tmp_path / "out")
    trainer = stages.fit("zero_shot", data.mixture("source_train"), num_train_epochs=1.0)
    assert trainer.state.global_step == 2
    assert Path(trainer.args.output_dir) == tmp_path / "out" / "zero_shot"
    assert trainer.args.num_train_epochs == 1
    assert stages.args.num_train_epochs is None, "the run's settings stay as they are"
    assert list(trainer.eval_dataset) == ["en"]
    (tmp_path / "out" / "zero_shot" / "results.json").write_text("{}")
    with pytest.raises(OutputError, match=r"zero_shot is not empty"):
        stages.fit("zero_shot", data.mixture("source_train"))


def test_an_only_training_has_the_folder_of_the_run(tmp_path, encoder, data):
    stages = stages_of(encoder, data, tmp_path / "out")
    trainer = stages.fit(None, data.mixture("source_train"))
    assert Path(trainer.args.output_dir) == tmp_path / "out"


def test_a_stage_goes_on_from_an_earlier_one(tmp_path, encoder, data):
    stages = stages_of(encoder, data, tmp_path, learning_rate=1e-3)
    source = data.mixture("source_train")
    first = stages.fit("first", source)
    trained = weights(first)
    stages.args.learning_rate = stages.args.head_learning_rate = 1e-12
    after, anew = (
        weights(stages.fit(name, source, after=start))
        for name, start in (("after", first), ("anew", None))
    )
    assert all(torch.allclose(after[name], trained[name], atol=1e-6) for name in trained)
    assert not all(torch.allclose(anew[name], trained[name], atol=1e-6) for name in trained)


def test_a_ready_model_is_not_trained_and_is_gone_on_from(tmp_path, encoders, data):
    folder = save_classifier(encoders["bert"], tmp_path / "given", labels=SPACE.names)
    stages = stages_of(str(encoders["modernbert"]), data, tmp_path / "out", adapter="lora")
    source = data.mixture("source_train")
    zero_shot = stages.fit("zero_shot", source, ready=str(folder))
    assert zero_shot.state.global_step == 0
    assert zero_shot.args.adapter == "none", "it is taken as it is"
    assert type(zero_shot.model).__name__.startswith("Bert")
    student = stages.fit("student", source, after=zero_shot)
    assert type(student.model.get_base_model()).__name__.startswith("Bert")
    base = {
        name.replace("base_model.model.", "").replace(".base_layer", ""): tensor
        for name, tensor in student.model.state_dict().items()
    }
    for name, tensor in weights(zero_shot).items():
        if name.startswith("bert.encoder"):
            assert torch.equal(base[name], tensor), "adapters are trained over the given model"


def test_another_encoder_and_a_loss(tmp_path, encoders, data):
    stages = stages_of(str(encoders["modernbert"]), data, tmp_path)
    rows = mix_domains(data.source_train, data.target_unlabeled)
    trainer = stages.fit("coral", rows, encoder=str(encoders["bert"]), loss=CoralLoss())
    assert type(trainer.model).__name__.startswith("Bert")
    assert trainer.objective.transfer_loss is not None


def test_other_labels_are_not_evaluated_while_training(tmp_path, encoder, data, chinese):
    names = {"positive": "好评", "negative": "差评"}
    renamed = chinese.map(lambda row: {"label": names[row["label"]]})
    rows = mix_domains({}, {"hotel": renamed})
    stages = stages_of(encoder, data, tmp_path)
    labels = LabelSpace(("差评", "好评"))
    trainer = stages.fit("few_shot", rows, label_space=labels)
    assert trainer.label_space == labels
    assert trainer.eval_dataset is None


def test_the_output_layer_can_be_frozen(tmp_path, encoder, data):
    stages = stages_of(encoder, data, tmp_path)
    given = stages.take()
    before = weights(given)
    after = weights(
        stages.fit("round", data.mixture("source_train"), after=given, freeze_output_layer=True)
    )
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert not any(name.startswith("classifier.") for name in moved)


def test_a_model_that_is_taken_is_kept_as_it_is(tmp_path, encoder, data):
    settings = {"adapter": "lora", "selection": "source_dev", "save_strategy": "epoch"}
    stages = stages_of(encoder, data, tmp_path, **settings)
    taken = stages.take()
    assert (taken.args.adapter, taken.args.selection) == ("none", "last")
    assert same(weights(stages.take(taken.model)), weights(taken))
    features = stages.features(taken, data.source_validation["products"])
    assert features.shape == (2, 32)


def test_a_share_of_the_target_is_for_stages_that_mix(tmp_path, encoder, data):
    stages = stages_of(encoder, data, tmp_path, target_share=0.25)
    assert stages.fit("zero_shot", data.mixture("source_train")).args.target_share is None
    rows = mix_domains(data.source_train, data.target_unlabeled)
    assert stages.fit("mixed", rows, loss=CoralLoss()).args.target_share == 0.25


def test_a_stage_that_trains_in_another_way(tmp_path, encoder, data):
    stages = stages_of(encoder, data, tmp_path, seed=7, max_length=32)
    folder = stages.folder("pretraining")
    assert Path(folder) == tmp_path / "pretraining"
    assert Path(folder).is_dir()
    assert stages.pretraining == {
        "max_length": 32, "bf16": False, "seed": 7, "revision": None, "resume": False,
    }  # fmt: skip
