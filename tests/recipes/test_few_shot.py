"""Few shots beside target text: co-training and the shots in one run, never a label of the text."""

from __future__ import annotations

import pytest

from tests.recipes.commands import read_rows, results_of, write_rows
from tests.recipes.test_results import check_files
from tests.recipes.test_resume import same_bits

pytestmark = pytest.mark.slow


def test_shots_and_text_in_one_run(tmp_path, run, files, capsys):
    rows = read_rows(files.folder / "zh.jsonl")
    rows *= 300 // len(rows) + 1
    wrong = {"positive": "negative", "negative": "positive"}
    texts = {
        "clean": [{"text": row["text"]} for row in rows],
        "poisoned": [{"text": row["text"], "label": wrong[row["label"]]} for row in rows],
    }
    for name, written in texts.items():
        run(
            "few_shot", f"--output_dir={tmp_path / name}", "--shots_per_label=4",
            f"--target_unlabeled={write_rows(files.folder / f'{name}.jsonl', written)}",
            *files.flags("source_train", "target_train", "target_test"),
        )  # fmt: skip
        check_files(tmp_path / name)
        said = capsys.readouterr().err
        assert "co-training: " in said
        assert "the guard" in said
        assert "held-out shots" not in said
    assert same_bits(tmp_path / "clean", tmp_path / "poisoned")
    scores = [
        {
            key: value
            for key, value in results_of(tmp_path / name).items()
            if key.startswith("eval_")
        }
        for name in texts
    ]
    assert scores[0] == scores[1]


def test_too_little_text_is_said_and_the_shots_are_trained_on(tmp_path, run, files, capsys):
    text = [{"text": row["text"]} for row in read_rows(files.folder / "zh.jsonl")]
    run(
        "few_shot", f"--output_dir={tmp_path / 'out'}", "--shots_per_label=4",
        f"--target_unlabeled={write_rows(files.folder / 'text.jsonl', text)}",
        *files.flags("source_train", "target_train", "target_test"),
    )  # fmt: skip
    said = capsys.readouterr().err
    assert "co-training is left out" in said
    assert "held-out shots" in said
