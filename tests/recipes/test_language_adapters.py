"""``language_adapters``: two languages, one task, and a plain folder at the end."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tests.recipes.commands import read_rows, results_of, write_rows
from tests.recipes.test_results import check_files, check_predictions
from tests.recipes.test_resume import same_bits, weights_of

pytestmark = pytest.mark.slow


@pytest.fixture
def text(files) -> str:
    rows = [{"text": row["text"]} for row in read_rows(files.folder / "zh.jsonl")]
    return write_rows(files.folder / "text.jsonl", rows)


def start(run, files, text, out, *flags: str) -> None:
    run(
        "language_adapters", f"--target_unlabeled={text}", f"--output_dir={out}",
        "--language_adapter_epochs=1", "--language_adapter_rank=2", "--adapter_rank=2",
        "--language_adapter_learning_rate=0.02", "--guard=false",
        *files.flags("source_train", "target_test"), *flags,
    )  # fmt: skip


@pytest.mark.parametrize("drop_last_layer", ["false", "true"])
def test_the_folder_is_plain_and_keeps_the_adapters(run, files, text, tmp_path, drop_last_layer):
    out = tmp_path / "out"
    start(run, files, text, out, f"--drop_last_layer={drop_last_layer}")
    check_files(out)
    check_predictions(out)
    assert results_of(out)["language_adapter_swapped"] == 1
    assert not (out / "adapter_config.json").exists()
    assert not any("lora" in name for name in weights_of(out))
    for name in ("source_language", "target_language", "task"):
        assert (out / name / "adapter_model.safetensors").is_file()
    model = AutoModelForSequenceClassification.from_pretrained(out, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(out)
    for row in read_rows(out / "predictions_zh.jsonl")[:3]:
        with torch.no_grad():
            probs = model(**tokenizer(row["text"], return_tensors="pt")).logits.softmax(-1)[0]
        named = {model.config.id2label[i]: float(p) for i, p in enumerate(probs)}
        assert named == pytest.approx(row["probabilities"], abs=1e-3)


def test_the_task_adapter_may_be_chosen_by_source_validation(run, files, text, tmp_path):
    start(run, files, text, tmp_path / "out", "--selection=source_dev")
    check_files(tmp_path / "out")


def test_labels_of_the_text_change_nothing(run, files, text, tmp_path):
    poisoned = write_rows(
        files.folder / "poisoned.jsonl",
        [{**row, "label": "negative"} for row in read_rows(files.folder / "text.jsonl")],
    )
    start(run, files, text, tmp_path / "a")
    start(run, files, poisoned, tmp_path / "b")
    assert same_bits(tmp_path / "a", tmp_path / "b")


def test_the_guard_keeps_the_source_language(run, files, text, tmp_path, monkeypatch):
    asked = []

    def first_refused(teacher, student, **kwargs):
        asked.append((teacher, student))
        return teacher if len(asked) == 1 else student

    monkeypatch.setattr("xlingual.safer_of", first_refused)
    out = tmp_path / "out"
    start(run, files, text, out, "--guard=true")
    unswapped, zero_shot = asked[0][0], asked[1][0]
    assert asked[1][1] is unswapped
    assert unswapped is not zero_shot
    assert results_of(out)["language_adapter_swapped"] == 0
    assert not (out / "adapter_config.json").exists()


def test_the_guard_keeps_the_zero_shot_model(
    run, files, text, tmp_path, monkeypatch, zero_shot_model
):
    monkeypatch.setattr("xlingual.safer_of", lambda teacher, student, **kwargs: teacher)
    out = tmp_path / "out"
    start(run, files, text, out, "--guard=true", f"--zero_shot_model={zero_shot_model}")
    assert results_of(out)["language_adapter_swapped"] == 0
    assert same_bits(zero_shot_model, out)
    scores = [results_of(folder)["eval_en_accuracy"] for folder in (zero_shot_model, out)]
    assert scores[0] == scores[1]
    start(run, files, text, tmp_path / "trained", "--guard=true")
    assert (tmp_path / "trained" / "zero_shot").is_dir()
    assert results_of(tmp_path / "trained")["language_adapter_swapped"] == 0


def test_started_again_it_goes_on(run, files, text, tmp_path, monkeypatch):
    start(run, files, text, tmp_path / "whole")

    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("xlingual.swap_language_adapter", killed)
        with pytest.raises(SystemExit):
            start(run, files, text, tmp_path / "part")
    start(run, files, text, tmp_path / "part", "--resume_from_checkpoint=true")
    assert same_bits(tmp_path / "whole", tmp_path / "part")


def test_bad_flags_end_in_one_line(run, files, text, tmp_path, capsys):
    for flag, message in (
        ("--adapter=ia3", "LoRA pairs that add"),
        ("--language_adapter_rank=0", "at least 1"),
    ):
        with pytest.raises(SystemExit) as ended:
            start(run, files, text, tmp_path / "out", flag)
        assert ended.value.code == 2
        assert message in capsys.readouterr().err
