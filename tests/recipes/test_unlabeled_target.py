"""Target text without labels: every method runs, resumes, and never sees a target label."""

from __future__ import annotations

import json

import pytest

from tests.recipes.commands import read_rows, results_of, write_rows
from tests.recipes.test_results import check_files, check_predictions
from tests.recipes.test_resume import same_bits, weights_of

pytestmark = pytest.mark.slow

QUICK = ("--confidence_threshold=0.01", "--self_training_rounds=2", "--pretraining_epochs=1")


@pytest.fixture
def text_file(files):
    rows = [{"text": row["text"]} for row in read_rows(files.folder / "zh.jsonl")]
    return write_rows(files.folder / "text.jsonl", rows * 2)


@pytest.fixture
def many_texts(files):
    """As many rows as co-training asks for: the few there are, over and over."""
    texts = [{"text": row["text"]} for row in read_rows(files.folder / "zh.jsonl")]
    return write_rows(files.folder / "many.jsonl", texts * (300 // len(texts) + 1))


def check_result(out):
    check_files(out)
    check_predictions(out)
    assert not any("transfer_loss" in name for name in weights_of(out))


@pytest.mark.parametrize("method", ["dann", "cdan", "mmd"])
def test_a_loss_between_the_domains(tmp_path, run, files, text_file, method):
    """CORAL and the methods of several stages are in the tests below."""
    run(
        "unlabeled_target", f"--method={method}", f"--output_dir={tmp_path}/out", *QUICK,
        f"--target_unlabeled={text_file}", *files.flags("source_train", "target_test"),
    )  # fmt: skip
    check_result(tmp_path / "out")


@pytest.mark.parametrize("method", ["recommended", "self_training", "coral"])
def test_a_poisoned_label_column_changes_nothing(tmp_path, run, files, many_texts, method):
    """Labels in the file of target text are wrong on purpose: a run that read them would differ."""
    texts = read_rows(files.folder / "many.jsonl")
    flipped = {"positive": "negative", "negative": "positive"}
    gold = {row["text"]: row["label"] for row in read_rows(files.folder / "zh.jsonl")}
    poisoned = write_rows(
        files.folder / "poisoned.jsonl",
        [{**row, "label": flipped[gold[row["text"]]]} for row in texts],
    )
    for name, path in (("clean", many_texts), ("poisoned", poisoned)):
        run(
            "unlabeled_target", f"--method={method}", f"--output_dir={tmp_path / name}", *QUICK,
            f"--target_unlabeled={path}", *files.flags("source_train", "target_test"),
        )  # fmt: skip
    check_result(tmp_path / "clean")
    assert same_bits(tmp_path / "clean", tmp_path / "poisoned")
    results = [results_of(tmp_path / name) for name in ("clean", "poisoned")]
    same = [{k: v for k, v in r.items() if k.startswith("eval_")} for r in results]
    assert json.dumps(same[0]) == json.dumps(same[1])


@pytest.mark.parametrize(("method", "step"), [
    ("self_training", "self_train"), ("continued_pretraining", "continue_pretraining"),
    ("co_training", "co_trained_rows"),
])  # fmt: skip
def test_started_again_it_goes_on(tmp_path, run, files, many_texts, monkeypatch, method, step):
    flags = (
        f"--method={method}", *QUICK, "--save_strategy=steps", "--save_steps=20",
        f"--target_unlabeled={many_texts}", *files.flags("source_train", "target_test"),
    )  # fmt: skip
    run("unlabeled_target", f"--output_dir={tmp_path}/whole", *flags)
    check_result(tmp_path / "whole")
    assert (tmp_path / "whole" / "co_training").is_dir() == (method == "co_training")

    import xlingual

    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    part = (f"--output_dir={tmp_path}/part", *flags)
    with monkeypatch.context() as patch:
        patch.setattr(xlingual, step, killed)
        with pytest.raises(SystemExit):
            run("unlabeled_target", *part)
    run("unlabeled_target", *part, "--resume_from_checkpoint=true")
    assert same_bits(tmp_path / "whole", tmp_path / "part")


def test_where_the_words_cannot_be_asked_it_is_self_training(tmp_path, run, files, text_file):
    """The same text in fewer rows than the n-grams need."""
    for method in ("recommended", "self_training"):
        run(
            "unlabeled_target", f"--method={method}", f"--output_dir={tmp_path / method}", *QUICK,
            f"--target_unlabeled={text_file}", *files.flags("source_train", "target_test"),
        )  # fmt: skip
    assert (tmp_path / "recommended" / "self_training_1").is_dir()
    assert same_bits(tmp_path / "recommended", tmp_path / "self_training")


def test_what_is_missing_or_misspelt(tmp_path, run, files, capsys):
    with pytest.raises(SystemExit) as exit_:
        run("unlabeled_target", f"--output_dir={tmp_path}/out", *files.flags("source_train"))
    assert exit_.value.code == 2
    assert "--target_unlabeled" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run("unlabeled_target", f"--output_dir={tmp_path}/out", "--method=magic")
    assert "--method takes recommended" in capsys.readouterr().err
