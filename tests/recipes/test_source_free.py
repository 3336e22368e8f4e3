"""``source_free``: a model's folder and target text in, an adapted folder out."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tests.classifiers import save_classifier
from tests.recipes.commands import read_rows, results_of, write_rows
from tests.recipes.test_resume import same_bits

OUTPUT_LAYER = ("classifier.weight", "classifier.bias")


@pytest.fixture
def given(encoder, tmp_path) -> str:
    labels = ("positive", "negative")
    return str(save_classifier(encoder, tmp_path / "given", labels=labels))


@pytest.fixture
def text(files) -> str:
    rows = [{"text": row["text"]} for row in read_rows(files.folder / "zh.jsonl")]
    return write_rows(files.folder / "text.jsonl", rows * 2)


def start(run, files, given, text, out, *flags: str) -> None:
    run(
        "source_free", f"--model_name_or_path={given}", f"--target_unlabeled={text}",
        f"--output_dir={out}", "--num_rounds=2", "--guard=false", *files.flags("target_test"),
        *flags,
    )  # fmt: skip


@pytest.mark.slow
def test_it_adapts_the_encoder_and_not_the_output_layer(run, files, given, text, tmp_path) -> None:
    out = tmp_path / "out"
    start(run, files, given, text, out)
    before = load_file(f"{given}/model.safetensors")
    after = load_file(out / "model.safetensors")
    assert before.keys() == after.keys()
    for name in OUTPUT_LAYER:
        assert torch.equal(before[name], after[name])
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert any("layers.0" in name for name in changed)
    model = AutoModelForSequenceClassification.from_pretrained(out, dtype=torch.float32).eval()
    assert model.config.id2label == {0: "positive", 1: "negative"}, "the labels are the model's"
    tokenizer = AutoTokenizer.from_pretrained(out)
    for row in read_rows(out / "predictions_zh.jsonl")[:3]:
        with torch.no_grad():
            probs = model(**tokenizer(row["text"], return_tensors="pt")).logits.softmax(-1)[0]
        assert probs[0].item() == pytest.approx(row["probabilities"]["positive"], abs=1e-3)
    results = results_of(out)
    assert results["eval_zh_rows"] == 13
    assert not any(key.startswith("eval_en") for key in results), "there is no source row"


@pytest.mark.slow
def test_labels_in_the_text_and_source_rows_change_nothing(
    run, files, given, text, tmp_path
) -> None:
    poisoned = write_rows(
        files.folder / "poisoned.jsonl",
        [{**row, "label": "negative"} for row in read_rows(files.folder / "text.jsonl")],
    )
    start(run, files, given, text, tmp_path / "a")
    start(run, files, given, poisoned, tmp_path / "b", *files.flags("source_train"))
    assert same_bits(tmp_path / "a", tmp_path / "b")
    first, second = (read_rows(tmp_path / name / "predictions_zh.jsonl") for name in "ab")
    assert json.dumps(first) == json.dumps(second)


@pytest.mark.slow
def test_started_again_it_goes_on(run, files, given, text, tmp_path, monkeypatch) -> None:
    flags = ("--save_strategy=steps", "--save_steps=1")
    start(run, files, given, text, tmp_path / "whole", *flags)
    from xlingual import TransferTrainer

    train = TransferTrainer.train

    def killed(self, *args, **kwargs):
        if self.args.output_dir.endswith("source_free_2"):
            raise KeyboardInterrupt
        return train(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(TransferTrainer, "train", killed)
        with pytest.raises(SystemExit):
            start(run, files, given, text, tmp_path / "part", *flags)
    start(run, files, given, text, tmp_path / "part", *flags, "--resume_from_checkpoint=true")
    assert same_bits(tmp_path / "whole", tmp_path / "part")


def test_what_cannot_be_adapted_ends_in_one_line(
    run, files, given, encoder, text, tmp_path, capsys
) -> None:
    for path, flag, message in (
        (encoder, "", "expected a trained classifier (...ForSequenceClassification)"),
        (tmp_path, "", "cannot read the model"),
        (given, "--num_rounds=0", "at least 1"),
        (given, "--diversity_weight=-1", "at least 0"),
        (given, "--task=multi_label", "multi-label"),
    ):
        with pytest.raises(SystemExit) as ended:
            start(run, files, path, text, tmp_path / "out", *[flag] * bool(flag))
        assert ended.value.code == 2
        assert message in capsys.readouterr().err


def test_target_text_is_asked_for(run, files, given, tmp_path, capsys) -> None:
    with pytest.raises(SystemExit):
        run(
            "source_free", f"--model_name_or_path={given}", f"--output_dir={tmp_path / 'out'}",
            *files.flags("target_test"),
        )  # fmt: skip
    assert "--target_unlabeled" in capsys.readouterr().err


def test_test_labels_that_the_model_does_not_know(run, files, given, text, tmp_path, capsys):
    with pytest.raises(SystemExit):
        start(run, files, given, text, tmp_path / "out", f"--target_test={files.zh_other}")
    assert "好评" in capsys.readouterr().err


@pytest.mark.slow
def test_without_a_test_set_the_model_is_saved(run, given, text, tmp_path) -> None:
    out = tmp_path / "out"
    run(
        "source_free", f"--model_name_or_path={given}", f"--target_unlabeled={text}",
        f"--output_dir={out}", "--num_rounds=1", "--guard=false",
    )  # fmt: skip
    assert (out / "model.safetensors").is_file()
    assert "train_runtime" in results_of(out)


def test_where_nothing_may_be_adapted_the_given_model_is_saved(
    run, files, given, text, tmp_path, capsys
) -> None:
    out = tmp_path / "out"
    start(run, files, given, text, out, "--guard=true")  # its classes are drawn at random
    assert "the centroids agree on" in capsys.readouterr().err
    before, after = (load_file(f"{folder}/model.safetensors") for folder in (given, out))
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert results_of(out)["eval_zh_rows"] == 13
