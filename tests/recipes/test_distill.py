"""``distill``: teachers of other vocabularies, hard and soft labels, teachers that are refused."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.classifiers import save_classifier
from tests.conftest import NEGATIVE, POSITIVE
from tests.recipes.commands import results_of
from tests.recipes.test_results import check_files
from tests.recipes.test_resume import same_bits


def start(run, files, out, *flags: str) -> None:
    run(
        "distill", *files.flags("source_train", "target_test"), f"--output_dir={out}",
        f"--source_validation={files.en}", "--bitext_threshold=0.01", *flags,
    )  # fmt: skip


@pytest.fixture
def teacher(encoders, tmp_path):
    """Another architecture, and the labels in another order and case."""
    return save_classifier(encoders["bert"], tmp_path / "bert", labels=("Positive", "Negative"))


@pytest.mark.slow
def test_two_teachers_bitext_and_unlabelled_text(run, files, teacher, encoders, tmp_path):
    other = save_classifier(encoders["xlm-r"], tmp_path / "x", labels=("negative", "positive"))
    bitext = tmp_path / "pairs.tsv"
    bitext.write_text("".join(f"{e}\t{z}\n" for e, z in POSITIVE + NEGATIVE), encoding="utf-8")
    start(
        run, files, tmp_path / "out", f"--teachers={teacher},{other}*0.5", f"--bitext={bitext}",
        f"--target_unlabeled={files.zh}", "--kd_temperature=2", "--target_share=0.5",
    )  # fmt: skip
    check_files(tmp_path / "out")
    assert results_of(tmp_path / "out")["eval_zh_rows"] == 13


@pytest.mark.slow
def test_resumed_is_uninterrupted_and_the_weight_matters(run, files, teacher, tmp_path):
    flags = (f"--teachers={teacher}", "--save_strategy=steps", "--save_steps=1")
    start(run, files, tmp_path / "whole", *flags)
    start(run, files, tmp_path / "part", *flags, "--max_steps=2")
    checkpoint = tmp_path / "part" / "checkpoint-1"
    start(run, files, tmp_path / "part", *flags, f"--resume_from_checkpoint={checkpoint}")
    assert same_bits(tmp_path / "whole", tmp_path / "part")
    start(run, files, tmp_path / "soft", *flags, "--soft_label_weight=1")
    assert not same_bits(tmp_path / "whole", tmp_path / "soft")


@pytest.mark.slow
def test_the_guard_chooses_between_zero_shot_and_distilled(
    run, files, teacher, tmp_path, monkeypatch
):
    data = (*files.flags("source_train", "target_test"), f"--source_validation={files.en}")
    run("zero_shot", *data, f"--output_dir={tmp_path / 'zero_shot'}")
    flags = (f"--teachers={teacher}", f"--target_unlabeled={files.zh}", "--target_share=0.5")
    start(run, files, tmp_path / "distilled", *flags)
    assert not same_bits(tmp_path / "zero_shot", tmp_path / "distilled")
    asked = {}

    def chosen(teacher, student, **rows):
        asked.update(rows)
        return {"zero_shot": teacher, "distilled": student}[kept]

    monkeypatch.setattr("xlingual.safer_of", chosen)
    for kept in ("zero_shot", "distilled"):
        out = tmp_path / f"keeps-{kept}"
        start(run, files, out, *flags, "--guard=true")
        check_files(out)
        assert same_bits(out, tmp_path / kept)
        assert (len(asked["unlabeled"]), len(asked["source_validation"])) == (12, 48)


@pytest.mark.slow
def test_a_student_of_wrong_teachers_is_refused(run, files, encoders, tmp_path, capsys):
    """They predict the same for every text, and a student of their labels alone learns that."""
    wrong = save_classifier(encoders["bert"], tmp_path / "wrong", labels=("Positive", "Negative"))
    weights = load_file(wrong / "model.safetensors")
    weights["classifier.weight"].zero_()
    weights["classifier.bias"] = torch.tensor([-9.0, 9.0])
    save_file(weights, wrong / "model.safetensors", metadata={"format": "pt"})
    out = tmp_path / "out"
    start(
        run, files, out, f"--teachers={wrong}", "--soft_label_weight=1", "--guard=true",
        "--max_steps=60", "--learning_rate=3e-3",
    )  # fmt: skip
    assert "the guard keeps the zero-shot model: source accuracy -" in capsys.readouterr().err
    assert results_of(out)["eval_en_accuracy"] > 0.8


def test_teachers_that_are_refused(run, files, encoders, encoder, teacher, tmp_path, capsys):
    other = save_classifier(encoders["bert"], tmp_path / "other", labels=("good", "bad"))
    broken = save_classifier(encoders["bert"], tmp_path / "nan", labels=("positive", "negative"))
    weights = load_file(broken / "model.safetensors")
    weights["classifier.weight"] = torch.full_like(weights["classifier.weight"], torch.nan)
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    for number, (teachers, message) in enumerate(
        (
            (str(other), "has the labels good, bad, the data negative, positive"),
            (str(broken), "has no answer for 48 of 48 rows"),
            (f"{teacher}*-1", "each weight above 0"),
            ("", "--teachers needs one or more"),
            (str(tmp_path / "nowhere"), "nowhere"),
        )
    ):
        with pytest.raises(SystemExit) as ended:
            start(run, files, tmp_path / f"out{number}", f"--teachers={teachers}")
        assert ended.value.code == 2
        assert message in capsys.readouterr().err
