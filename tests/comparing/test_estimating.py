"""One estimate of the accuracy: ``compare`` shows what ``zero_shot`` shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from datasets import Dataset

from tests.conftest import NEGATIVE, POSITIVE
from xlingual import TransferArguments, TransferTrainer, estimate_target, write_report
from xlingual.comparing import ComparedRun, FinishedRun, compare_runs
from xlingual.evaluation import TransferReport
from xlingual.evaluation.target_accuracy import estimate_target_accuracy

LANGUAGES = {"source_language": "en", "target_language": "zh"}


@pytest.fixture(scope="module")
def rows() -> Dataset:
    """600 Chinese texts of two sentences each, labelled by the first."""
    generator = np.random.default_rng(0)
    pairs = POSITIVE + NEGATIVE
    first = generator.integers(len(pairs), size=600)
    second = generator.integers(len(pairs), size=600)
    texts = [pairs[a][1] + pairs[b][1] for a, b in zip(first, second, strict=True)]
    labels = ["positive" if a < len(POSITIVE) else "negative" for a in first]
    return Dataset.from_dict({"text": texts, "label": labels})


@pytest.fixture
def trained(encoder, english, tmp_path) -> tuple[TransferTrainer, TransferReport, Path]:
    args = TransferArguments(
        output_dir=str(tmp_path / "run"), max_steps=8, per_device_train_batch_size=16,
        learning_rate=3e-3, save_strategy="no", precision="fp32", disable_tqdm=True,
        freeze_embeddings=False, report_to="none",
    )  # fmt: skip
    trainer = TransferTrainer(encoder, args, train_dataset=english)
    trainer.train()
    report = trainer.evaluate_transfer(source={"en": english}, targets={})
    trainer.save_model()
    return trainer, report, tmp_path / "run"


def compared(folder: Path, method: str = "zero_shot", **settings) -> float:
    run = FinishedRun(ComparedRun(method, 0, Path("x.py"), {}), folder, 1.0, None)
    return compare_runs([run], task="sequence", **LANGUAGES, **settings).estimates[method]


def test_compare_and_zero_shot_agree(trained, english, rows) -> None:
    trainer, report, folder = trained
    text = rows.remove_columns("label")
    shown = estimate_target(trainer, report, {"zh": text})
    write_report(folder, shown, rows={"en": english})
    assert 0 < shown.estimates["zh"].value < 1
    assert compared(folder, unlabeled={"zh": text}) == pytest.approx(
        shown.estimates["zh"].value, abs=1e-6
    )
    # With a test set its rows are read, and their labels are not.
    targets = trainer.evaluate_transfer(source={}, targets={"zh": rows}).targets
    write_report(folder, replace(shown, targets=targets), rows={"en": english, "zh": rows})
    assert compared(folder) == pytest.approx(shown.estimates["zh"].value, abs=1e-6)
    assert compared(folder, method="co_training") != pytest.approx(
        shown.estimates["zh"].value, abs=1e-3
    ), "what was trained on n-grams agrees with them too well"


def test_without_a_text_or_with_learnt_ngrams_confidences_are_taken(rows) -> None:
    generator = np.random.default_rng(1)
    probs = generator.dirichlet([0.5, 0.5], 600)
    settings = {
        "source_probs": probs, "source_references": probs.argmax(axis=1), "target_probs": probs,
        "calibration_temperature": 1.5,
    }  # fmt: skip
    with_text = estimate_target_accuracy(**settings, target_rows=rows)
    assert with_text.agreement is not None
    assert with_text.accuracy.value == with_text.agreement.value
    for changed in ({"target_rows": None}, {"target_rows": rows, "learnt_ngrams": True}):
        found = estimate_target_accuracy(**settings, **changed)
        assert found.agreement is None
        assert found.accuracy.value == found.doc.value


def test_a_folder_without_a_model_has_no_estimate(trained, english, rows, caplog) -> None:
    _, report, folder = trained
    write_report(folder, report, rows={"en": english})
    (folder / "config.json").unlink()
    run = SimpleNamespace(method="zero_shot", name="zero_shot-0")
    with caplog.at_level("WARNING", logger="xlingual"):
        found = compare_runs(
            [FinishedRun(run, folder, 1.0, None)],
            task="sequence", unlabeled={"zh": rows}, **LANGUAGES,
        )  # fmt: skip
    assert found.estimates == {}
    assert "no estimate for run" in caplog.text
