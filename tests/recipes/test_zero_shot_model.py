"""``--zero_shot_model``: an existing model replaces the one that the run would train."""

from __future__ import annotations

import json

import pytest

from tests.classifiers import save_classifier
from tests.recipes.commands import read_rows, write_rows
from tests.recipes.test_resume import same_bits
from xlingual import DataArguments, LabelSpace, load_transfer_data, with_labels_of
from xlingual.config.methods import FewShotArguments
from xlingual.errors import ConfigError, ModelLoadError

TEXT = (
    "unlabeled_target", "--confidence_threshold=0.01", "--self_training_rounds=2",
    "--pretraining_epochs=1",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        (*TEXT, "--method=self_training", "--guard=false"),
        (*TEXT, "--method=recommended"),
        (*TEXT, "--method=coral", "--selection=source_dev"),
        (*TEXT, "--method=coral", "--selection=average"),
        ("few_shot", "--shots_per_label=4"),
        ("few_shot", "--shots_per_label=4", "--regime=sequential"),
        ("few_shot", "--shots_per_label=4", "--shot_weight=2"),
    ],
    ids=lambda command: "-".join(flag.split("=")[-1] for flag in command[::4]),
)
def test_the_run_is_the_one_that_trains_the_same_model(
    tmp_path, run, files, zero_shot_model, command
):
    text = [{"text": row["text"]} for row in read_rows(files.folder / "zh.jsonl")]
    co_trains = {"--method=recommended", "--shot_weight=2"} & set(command)
    text *= 300 // len(text) + 1 if co_trains else 2
    data = (
        f"--target_unlabeled={write_rows(files.folder / 'text.jsonl', text)}",
        *files.flags("source_train", "target_train", "target_test"),
    )
    if selection := [flag for flag in command if flag.startswith("--selection")]:
        zero_shot_model = tmp_path / "ready"
        source = files.flags("source_train")
        run("zero_shot", f"--output_dir={zero_shot_model}", *source, *selection)
    straight, out = tmp_path / "straight", tmp_path / "out"
    run(*command, *data, f"--output_dir={straight}")
    run(*command, *data, f"--output_dir={out}", f"--zero_shot_model={zero_shot_model}")
    assert same_bits(straight, out)
    for name in ("predictions_zh.jsonl", "predictions_en.jsonl"):
        assert (straight / name).read_bytes() == (out / name).read_bytes()
    assert not list((out / "zero_shot").iterdir()), "nothing is trained there"


@pytest.mark.slow
def test_a_guard_that_keeps_it_saves_it_plain(tmp_path, run, files, zero_shot_model, monkeypatch):
    """Also where the student has an adapter: the given model has none."""
    import xlingual

    monkeypatch.setattr(xlingual, "safer_of", lambda teacher, student, **_: teacher)
    run(
        *TEXT, "--method=coral", "--adapter=lora", f"--output_dir={tmp_path}/out",
        f"--zero_shot_model={zero_shot_model}", f"--target_unlabeled={files.zh}",
        *files.flags("source_train", "target_test"),
    )  # fmt: skip
    assert same_bits(tmp_path / "out", zero_shot_model)


@pytest.mark.slow
def test_sequential_with_other_target_labels(tmp_path, run, files, zero_shot_model, encoders):
    """It continues from the given model, whatever encoder the run would have started from."""
    run(
        "few_shot", "--regime=sequential", "--shots_per_label=4",
        f"--zero_shot_model={zero_shot_model}",
        *files.flags("source_train"), f"--target_train={files.zh_other}",
        f"--target_test={files.zh_other}", f"--output_dir={tmp_path}/out",
        f"--model_name_or_path={encoders['bert']}",
    )  # fmt: skip
    config = json.loads((tmp_path / "out" / "config.json").read_text(encoding="utf-8"))
    assert config["id2label"] == {"0": "好评", "1": "差评"}


@pytest.mark.parametrize("recipe", ["few_shot", "unlabeled_target"])
def test_a_bare_encoder_is_refused(tmp_path, run, files, encoder, capsys, recipe):
    with pytest.raises(SystemExit) as ended:
        run(
            recipe, f"--zero_shot_model={encoder}", f"--output_dir={tmp_path}/out",
            f"--target_unlabeled={files.zh}", *files.flags("source_train", "target_train"),
        )  # fmt: skip
    assert ended.value.code == 2
    assert "expected a trained classifier" in capsys.readouterr().err


def test_labels_are_matched_by_name(tmp_path, files, encoder):
    data_args = DataArguments(source_train=files.en, target_train=files.zh)
    data = load_transfer_data(data_args, use=["source_train", "target_train"])
    assert with_labels_of(None, data) is data
    assert data.label_space.names == ("negative", "positive")
    turned = save_classifier(encoder, tmp_path / "turned", labels=("Positive", "negative"))
    taken = with_labels_of(str(turned), data)
    assert taken.label_space == LabelSpace(("Positive", "negative")), "the order is the model's"
    assert taken.target_label_space == taken.label_space
    assert taken.source_train is data.source_train


def test_a_model_of_another_task_is_refused(tmp_path, files, encoder):
    data = load_transfer_data(DataArguments(source_train=files.en), use=["source_train"])
    other = save_classifier(encoder, tmp_path / "other", labels=("sports", "politics"))
    with pytest.raises(ConfigError, match=r"sports, politics; expected .* negative, positive"):
        with_labels_of(str(other), data)
    unnamed = save_classifier(encoder, tmp_path / "unnamed", labels=("LABEL_0", "LABEL_1"))
    with pytest.raises(ConfigError, match="LABEL_0"):
        with_labels_of(str(unnamed), data)
    several = save_classifier(
        encoder, tmp_path / "several", labels=("negative", "positive"),
        problem_type="multi_label_classification",
    )  # fmt: skip
    with pytest.raises(ConfigError, match="expected one trained for --task sequence"):
        with_labels_of(str(several), data)
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    with pytest.raises(ConfigError, match="xlingual merge"):
        with_labels_of(str(tmp_path / "adapter"), data)
    with pytest.raises(ModelLoadError, match="cannot read the model"):
        with_labels_of(str(tmp_path / "nowhere"), data)


def test_no_adapter_goes_on_from_it_in_the_sequential_regime():
    arguments = FewShotArguments(regime="sequential", zero_shot_model="runs/zero_shot")
    arguments.check_adapter("none")
    FewShotArguments(regime="sequential").check_adapter("lora")
    with pytest.raises(ConfigError, match="leave out --adapter lora or --zero_shot_model"):
        arguments.check_adapter("lora")
