"""From the folders of finished runs to scores, estimates and recommendations."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from xlingual.comparing import ComparedRun, FinishedRun, compare_runs, write_comparison
from xlingual.errors import DataError

LABELS = ["差评", "好评"]
LANGUAGES = {"source_language": "en", "target_language": "zh"}


def write_set(folder: Path, name: str, truth: list, predicted: list, sureness: float = 0.9) -> None:
    rows = []
    for label, prediction in zip(truth, predicted, strict=True):
        probs = {one: sureness if one == prediction else 1 - sureness for one in LABELS}
        # A line separator inside a text must not cut the row in two.
        rows.append({"text": "房间\u2028很好", "label": label, "prediction": prediction,
                     "probability": sureness, "probabilities": probs})  # fmt: skip
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    (folder / f"predictions_{name}.jsonl").write_text("".join(lines), encoding="utf-8")


def finished(
    root: Path, method: str, seed: int, sets: dict, *, seconds: float = 1.0, **results
) -> FinishedRun:
    """A run with its sets: ``{name: (labels, predictions)}``."""
    folder = root / f"{method}-{seed}"
    folder.mkdir()
    for name, rows in sets.items():
        write_set(folder, name, *rows)
    results = {"label_names": LABELS, "peak_memory_mib": 100.0, "trainable_parameters": 7} | results
    results |= {f"eval_{name}_majority_accuracy": 0.5 for name in sets}
    (folder / "all_results.json").write_text(json.dumps(results), encoding="utf-8")
    return FinishedRun(ComparedRun(method, seed, Path("x.py"), {}), folder, seconds, None)


def rows_with(num_right: int, *, num_rows: int = 100) -> tuple[list[str], list[str]]:
    truth = [LABELS[i % 2] for i in range(num_rows)]
    wrong = [LABELS[1 - i % 2] for i in range(num_rows)]
    return truth, truth[:num_right] + wrong[num_right:]


def test_two_sets_two_seeds_and_one_failure(tmp_path):
    right = {"zero_shot": (60, 50), "better": (85, 75), "supervised": (90, 90)}
    runs = []
    for cost, (method, (hotel, books)) in enumerate(right.items()):
        for seed in (0, 1):
            sets = {"zh_hotel": rows_with(hotel + seed), "zh_books": rows_with(books)}
            sets["en"] = rows_with(90)
            runs.append(finished(tmp_path, method, seed, sets, seconds=10.0 * cost))
    failed = FinishedRun(ComparedRun("coral", 0, Path("x"), {}), tmp_path, None, "exit code 1: 坏")
    comparison = compare_runs([*runs, failed], task="sequence", **LANGUAGES)
    assert list(comparison.sets) == ["zh_hotel", "zh_books", "mean"]
    better = comparison.sets["mean"]["better"]
    assert better.score.value == pytest.approx((0.855 + 0.75) / 2)
    assert better.gap_recovered == pytest.approx((0.8025 - 0.5525) / (0.9025 - 0.5525))
    assert better.p_value < 0.01
    assert comparison.costs["better"] == {
        "seconds": 10.0, "peak_memory_mib": 100.0, "trainable_parameters": 7.0
    }  # fmt: skip
    assert comparison.best_measured == "supervised"
    assert comparison.errors == {"coral-0": "exit code 1: 坏"}
    table = comparison.markdown()
    assert "| zh_hotel | coral | - |" in table
    assert "FAILED coral-0: exit code 1: 坏" in table
    assert "| mean | better | 80.2 [" in table or "| mean | better | 80.3 [" in table
    shown = comparison.table().split("\n\n")
    assert [block.split()[0] for block in shown[:3]] == ["zh_hotel", "zh_books", "mean"]
    assert shown[3].split("\n")[1].split() == ["zero_shot", "-", "0", "100", "7"]
    assert max(len(line) for block in shown for line in block.split("\n")) <= 80
    write_comparison(tmp_path, comparison)
    assert (tmp_path / "table.md").read_text(encoding="utf-8") == table
    saved = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert saved["sets"]["mean"]["better"]["score"] == pytest.approx(0.8025)


def test_an_estimate_reads_no_target_label(tmp_path):
    """Wrong target labels change every score and no estimate, and the ceiling has none."""
    estimates = []
    for name in ("clean", "poisoned"):
        (tmp_path / name).mkdir()
        runs = []
        for method in ("zero_shot", "supervised"):
            truth, predicted = rows_with(80)
            if name == "poisoned":
                truth = truth[::-1]
            sets = {"en": rows_with(70), "zh": (truth, predicted)}
            runs.append(finished(tmp_path / name, method, 0, sets, calibration_temperature=1.3))
        comparison = compare_runs(
            runs, task="sequence", by_evidence=["coral", "zero_shot"], **LANGUAGES
        )
        assert set(comparison.estimates) == {"zero_shot"}
        assert comparison.best_by_evidence == "zero_shot"
        estimates.append((comparison.estimates, comparison.sets["zh"]["zero_shot"].score.value))
    assert estimates[0][0] == estimates[1][0]
    assert estimates[0][1] != estimates[1][1]


def test_several_labels_a_row(tmp_path):
    truth, predicted = [["差评"], [], LABELS, None], [["差评"], ["好评"], LABELS, []]
    run = finished(tmp_path, "zero_shot", 0, {"zh": (truth, predicted)})
    comparison = compare_runs([run], task="multi_label", **LANGUAGES)
    # 差评: 2 of 2, no false ones; 好评: 1 right and 1 false.
    expected = np.mean([1.0, 2 / 3])
    assert comparison.metric == "macro_f1"
    assert comparison.sets["zh"]["zero_shot"].score.value == pytest.approx(expected)
    assert comparison.estimates == {}


def test_nothing_to_estimate_from(tmp_path):
    runs = [finished(tmp_path, name, 0, {"en": rows_with(9)}) for name in ("zero_shot", "coral")]
    comparison = compare_runs(
        runs, task="sequence", by_evidence=["recommended", "coral", "zero_shot"], **LANGUAGES
    )
    assert comparison.sets == {}
    assert comparison.best_measured is None
    assert comparison.best_by_evidence == "coral"
    assert "the order of published evidence" in " ".join(comparison.table().split())


def test_runs_that_cannot_stand_in_one_table(tmp_path):
    runs = [finished(tmp_path, "zero_shot", 0, {"zh": rows_with(50)})]
    (tmp_path / "other").mkdir()
    rows = rows_with(50)
    other_rows = finished(tmp_path / "other", "m", 0, {"zh": (rows[0][::-1], rows[1])})
    with pytest.raises(DataError, match="m-0 was evaluated on other rows of zh"):
        compare_runs([*runs, other_rows], task="sequence", **LANGUAGES)
    other_labels = finished(tmp_path, "m", 1, {"zh": rows}, label_names=["a", "b"])
    with pytest.raises(DataError, match="different labels"):
        compare_runs([*runs, other_labels], task="sequence", **LANGUAGES)
    failed = FinishedRun(ComparedRun("m", 0, Path("x"), {}), tmp_path, None, "exit code 1: boom")
    with pytest.raises(DataError, match="all failed: m-0: exit code 1: boom"):
        compare_runs([failed], task="sequence", **LANGUAGES)
