"""``TransferArguments``: contradictions, precision, presets and stages."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from xlingual import DataArguments, ModelArguments, TransferArguments
from xlingual.config.presets import preset_for
from xlingual.errors import ConfigError


def arguments(**settings: object) -> TransferArguments:
    return TransferArguments(**{"output_dir": "runs/x", **settings})


def refused(**settings: object) -> str:
    with pytest.raises(ConfigError) as caught:
        arguments(**settings)
    return str(caught.value)


@pytest.mark.parametrize("kind", [ModelArguments, DataArguments])
def test_every_argument_has_a_default_and_a_line_of_help(kind: type) -> None:
    kind()
    assert all(len(field.metadata["help"]) > 10 for field in dataclasses.fields(kind))


def test_own_arguments_have_help_too() -> None:
    inherited = {field.name for field in dataclasses.fields(TransferArguments.__mro__[1])}
    fields = dataclasses.fields(TransferArguments)
    own = [f for f in fields if f.init and f.name not in inherited]
    assert len(own) > 15
    assert all(len(field.metadata["help"]) > 10 for field in own)


def test_defaults_that_differ_from_transformers() -> None:
    args = arguments()
    assert args.learning_rate is None
    assert args.num_train_epochs is None
    assert (args.per_device_train_batch_size, args.save_total_limit) == (32, 2)
    assert (args.warmup_steps, args.weight_decay) == (0.1, 0.01)
    assert (args.adapter, args.max_length) == (None, None)
    assert (args.selection, args.class_weights) == ("last", "none")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"adapter": "Lora"}, "--adapter takes none, lora, dora, ia3; got 'Lora'"),
        ({"selection": "best"}, "--selection takes last, average, source_dev, target_dev; got"),
        ({"precision": "int8"}, "--precision takes auto, fp32, bf16, fp16; got 'int8'"),
        ({"freeze_encoder": True, "adapter": "lora"}, "leave out either it or --adapter"),
        (
            {"freeze_embeddings": True, "embedding_learning_rate": 1e-5},
            "--freeze_embeddings and --embedding_learning_rate exclude each other",
        ),
        ({"early_stopping_patience": 2}, "add --selection source_dev"),
        ({"selection": "source_dev", "save_strategy": "no"}, "needs checkpoints"),
        ({"layer_decay": 0.0}, "--layer_decay must be in (0, 1]; got 0.0"),
        ({"layer_decay": 1.1}, "--layer_decay must be in (0, 1]; got 1.1"),
        ({"target_share": 1.0}, "--target_share must be between 0 and 1; got 1.0"),
        ({"max_length": 0}, "--max_length must be at least 1; got 0"),
        ({"adapter_rank": -1}, "--adapter_rank must be at least 1; got -1"),
        ({"per_device_train_batch_size": 0}, "--per_device_train_batch_size must be at least 1"),
    ],
)
def test_contradictions(settings: dict[str, object], words: str) -> None:
    assert words in refused(**settings)


def test_all_contradictions_are_told_at_once() -> None:
    message = refused(adapter="x", selection="y", layer_decay=2.0, max_length=0)
    assert message.count("; ") >= 3
    assert all(n in message for n in ("--adapter", "--selection", "--layer_decay", "--max_length"))


def test_data_arguments_check_themselves() -> None:
    with pytest.raises(ConfigError, match="--max_train_rows must be at least 1; got 0"):
        DataArguments(max_train_rows=0)


@pytest.mark.parametrize(
    ("selection", "language"), [("last", None), ("source_dev", "en"), ("target_dev", "yue")]
)
def test_selection_keeps_the_best_of_a_named_set(selection: str, language: str | None) -> None:
    args = arguments(selection=selection, target_language="yue")
    assert args.selection_language == language
    assert args.load_best_model_at_end is (selection != "last")
    if selection != "last":
        assert args.eval_strategy == args.save_strategy == "epoch"
        assert args.greater_is_better


@pytest.mark.skipif(torch.cuda.is_available(), reason="what a processor does")
@pytest.mark.parametrize(
    ("precision", "native", "bf16"),
    [
        ("auto", True, True),
        ("auto", False, False),  # emulated, it would be slower than float32
        ("fp32", True, False),
        ("bf16", False, True),
    ],
)
def test_precision(monkeypatch, precision: str, native: bool, bf16: bool) -> None:
    monkeypatch.setattr("xlingual.config.training.has_bf16", lambda on_gpu: native)
    args = arguments(precision=precision)
    assert (args.bf16, args.fp16) == (bf16, False)


@pytest.mark.parametrize("given", ["false", "False", False, None])
def test_no_resume_is_no_path(given: object) -> None:
    assert arguments(resume_from_checkpoint=given).resume_from_checkpoint in (None, False)


def test_a_preset_fills_what_is_open() -> None:
    preset = preset_for(1_000_000)
    args = arguments()
    args.apply_preset(preset, num_rows=608)
    assert args.learning_rate == preset.learning_rate
    assert args.head_learning_rate == preset.head_learning_rate
    assert args.freeze_embeddings is preset.freeze_embeddings
    adapted = arguments(adapter="lora")
    adapted.apply_preset(preset, num_rows=608)
    assert adapted.learning_rate == preset.adapter_learning_rate


@pytest.mark.parametrize(
    ("chosen", "adapter"),
    [
        ({}, "lora"),
        ({"adapter": "none"}, "none"),
        ({"adapter": "ia3"}, "ia3"),
        ({"freeze_encoder": True}, "none"),
        ({"propagate_embeddings": True}, "none"),
    ],
)
def test_a_very_large_encoder_is_adapted_unless_told_otherwise(chosen, adapter: str) -> None:
    args = arguments(**chosen)
    args.apply_preset(preset_for(7_000_000_000), num_rows=608)
    assert args.adapter == adapter
    assert args.learning_rate == (1e-5 if adapter == "none" else 2e-4)
    smaller = arguments(**chosen)
    smaller.apply_preset(preset_for(304_000_000), num_rows=608)
    assert smaller.adapter == chosen.get("adapter", "none")


def test_a_preset_leaves_what_is_set() -> None:
    chosen = {
        "learning_rate": 0.5,
        "head_learning_rate": 0.25,
        "freeze_embeddings": False,
        "num_train_epochs": 1.5,
    }
    args = arguments(**chosen)
    args.apply_preset(preset_for(1_000_000), num_rows=10)
    assert {name: getattr(args, name) for name in chosen} == chosen


def test_embeddings_with_a_rate_of_their_own_are_not_frozen() -> None:
    args = arguments(embedding_learning_rate=1e-5)
    args.apply_preset(preset_for(1_000_000), num_rows=10)
    assert args.freeze_embeddings is False


@pytest.mark.parametrize(
    ("num_rows", "epochs"),
    [(1, 20), (608, 11), (3_200, 3), (1_628, 4), (1_000_000, 3), (0, 20)],
)
def test_few_rows_are_read_more_often(num_rows: int, epochs: int) -> None:
    args = arguments()
    args.apply_preset(preset_for(1), num_rows=num_rows)
    assert args.num_train_epochs == epochs
    accumulated = arguments(per_device_train_batch_size=8, gradient_accumulation_steps=4)
    accumulated.apply_preset(preset_for(1), num_rows=num_rows)
    assert accumulated.num_train_epochs == epochs, "rows of a step decide, however they are read"


def test_a_stage_has_a_folder_of_its_own_and_the_rest_in_common() -> None:
    args = arguments(seed=3, target_share=0.25)
    stage = args.for_stage("few_shot", target_share=0.5, learning_rate=1e-3)
    assert stage.output_dir.replace("\\", "/") == "runs/x/few_shot"
    assert stage.target_share == 0.25, "what the user set wins"
    assert stage.learning_rate == 1e-3
    assert (stage.seed, stage.resume_from_checkpoint) == (3, None)
    assert (args.output_dir, args.learning_rate) == ("runs/x", None)


def test_a_resumed_stage_finds_its_own_checkpoint() -> None:
    args = arguments(resume_from_checkpoint="runs/x/few_shot/checkpoint-7")
    assert args.for_stage("zero_shot").resume_from_checkpoint == "true"


def test_an_only_training_is_resumed_and_pushed_as_the_run(tmp_path) -> None:
    args = TransferArguments(
        output_dir=str(tmp_path), resume_from_checkpoint="checkpoint-3", push_to_hub=True
    )
    stage = args.for_stage(None, target_share=0.5)
    assert stage.output_dir == str(tmp_path)
    assert (stage.resume_from_checkpoint, stage.push_to_hub) == ("checkpoint-3", True)
    assert (stage.target_share, args.target_share) == (0.5, None)


def test_what_is_left_open_is_filled_from_a_stage(tmp_path) -> None:
    args = TransferArguments(output_dir=str(tmp_path), adapter="lora", seed=3)
    stage = args.for_stage("student", learning_rate=0.1)
    stage.adapter = "none"
    filled = args.filled_from(stage)
    assert (filled.learning_rate, filled.adapter, filled.seed) == (0.1, "lora", 3)
    assert filled.output_dir == str(tmp_path)
    assert args.learning_rate is None
