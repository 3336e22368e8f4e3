"""The ``evaluate.Metric`` classes: offline, batched, combined, without a writable home."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import evaluate
import numpy as np
import pytest

from xlingual import evaluation
from xlingual.errors import ConfigError, DataError
from xlingual.evaluation import (
    Accuracy,
    ConfusionMatrix,
    MacroF1,
    MultiLabelF1,
    PerClassF1,
    TransferGap,
    classification_scores,
    multi_label_scores,
)

NAMES = ["差评", "好评"]
REFERENCES = [0, 0, 1, 1, -100]
PREDICTIONS = [0, 1, 1, 1, 0]


@pytest.fixture(autouse=True)
def unwritable_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Point the cache of ``evaluate`` below a plain file, where no folder can be made."""
    blocker = tmp_path / "blocker"
    blocker.write_text("", encoding="utf-8")
    monkeypatch.setattr(evaluate.config, "HF_METRICS_CACHE", blocker / "metrics")
    return blocker


@pytest.fixture
def network_blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a metric opened a connection")

    monkeypatch.setattr("socket.socket.connect", refuse)


def test_the_fixture_stops_a_stock_metric(unwritable_cache: Path) -> None:
    class Stock(evaluate.Metric):  # type: ignore[misc]
        def _info(self) -> evaluate.MetricInfo:
            return MacroF1()._info()

    with pytest.raises(OSError, match=unwritable_cache.name):
        Stock(keep_in_memory=True)


@pytest.mark.usefixtures("network_blocked")
def test_metrics_return_the_scores_of_the_functions() -> None:
    rows = {"references": REFERENCES, "predictions": PREDICTIONS}
    expected = classification_scores(**rows, label_names=NAMES)
    found = {
        **Accuracy(label_names=NAMES).compute(**rows),
        **MacroF1(label_names=NAMES).compute(**rows),
        **PerClassF1(label_names=NAMES).compute(**rows),
    }
    assert found == expected
    assert ConfusionMatrix(label_names=NAMES).compute(**rows) == {
        "confusion_matrix": [[1, 1], [0, 2]]
    }


def test_batches_and_single_rows_equal_one_call_and_a_metric_can_be_used_again() -> None:
    metric = PerClassF1(label_names=NAMES)
    whole = metric.compute(references=REFERENCES, predictions=np.array(PREDICTIONS))
    for _ in range(2):
        metric.add_batch(references=REFERENCES[:2], predictions=PREDICTIONS[:2])
        metric.add_batch(references=np.array(REFERENCES[2:4]), predictions=PREDICTIONS[2:4])
        metric.add(reference=REFERENCES[4], prediction=PREDICTIONS[4])
        assert metric.compute() == whole


def test_combine_merges_the_keys() -> None:
    metrics = evaluate.combine(
        [Accuracy(label_names=NAMES), MacroF1(label_names=NAMES), PerClassF1(label_names=NAMES)]
    )
    metrics.add_batch(references=REFERENCES[:3], predictions=PREDICTIONS[:3])
    metrics.add_batch(references=REFERENCES[3:], predictions=PREDICTIONS[3:])
    assert metrics.compute() == classification_scores(
        references=REFERENCES, predictions=PREDICTIONS, label_names=NAMES
    )
    assert metrics.compute(references=[0], predictions=[1])["accuracy"] == 0.0


def test_names_default_to_ids() -> None:
    found = PerClassF1().compute(references=[0, 2], predictions=[0, 2])
    assert (found["f1_0"], found["f1_1"], found["f1_2"]) == (1.0, 0.0, 1.0)
    assert Accuracy().compute(references=[-100, 3], predictions=[9, 3]) == {"accuracy": 1.0}


def test_multi_label() -> None:
    references = [[1.0, 0.0], [0.0, 1.0], [-100.0, -100.0]]
    predictions = np.array([[1, 0], [1, 1], [0, 0]])
    metric = MultiLabelF1(label_names=NAMES)
    metric.add_batch(references=references[:1], predictions=predictions[:1])
    metric.add_batch(references=references[1:], predictions=predictions[1:])
    assert metric.compute() == multi_label_scores(
        references=references, predictions=predictions, label_names=NAMES
    )
    assert MultiLabelF1().compute(references=[[1, 0]], predictions=[[1, 0]])["f1_0"] == 1.0


def test_transfer_gap_splits_by_domain() -> None:
    rows = {"references": [0, 1, 0, 1], "predictions": [0, 1, 0, 0], "domain": [0, 0, 1, 1]}
    assert TransferGap(label_names=NAMES).compute(**rows) == {
        "source_accuracy": 1.0,
        "target_accuracy": 0.5,
        "transfer_gap": 0.5,
    }
    macro = TransferGap(score="macro_f1").compute(**rows)
    assert macro["transfer_gap"] == pytest.approx(1 - (2 / 3) / 2)
    metrics = evaluate.combine([Accuracy(), TransferGap()])
    metrics.add_batch(**rows)
    assert metrics.compute()["transfer_gap"] == 0.5


def test_errors_name_the_mistake() -> None:
    with pytest.raises(DataError, match="0 to 1"):
        Accuracy(label_names=NAMES).compute(references=[2], predictions=[0])
    with pytest.raises(DataError, match="got the string"):
        Accuracy(label_names="好评")
    with pytest.raises(DataError, match="both 0"):
        TransferGap().compute(references=[0], predictions=[0], domain=[1])
    with pytest.raises(ConfigError, match="got 'f1'"):
        TransferGap(score="f1")
    with pytest.raises(ValueError, match="Mismatch"):
        Accuracy().compute(references=[0, 1], predictions=[0])


def test_probabilities_are_not_cut_to_ids() -> None:
    metric = Accuracy()
    with pytest.raises(DataError, match="predictions must be integer label ids"):
        metric.compute(references=[0, 1], predictions=[0.7, 1.2])
    with pytest.raises(DataError, match="predictions must be integer label ids"):
        metric.add(reference=0, prediction=0.7)
    with pytest.raises(ValueError, match="expected format"):
        metric.add_batch(references=[0, 1], predictions=[[0.1, 0.9], [0.8, 0.2]])


def test_an_empty_metric_says_so_and_recovers() -> None:
    metric = MacroF1()
    with pytest.raises(DataError, match="macro_f1 has nothing to score"):
        metric.compute()
    with pytest.raises(DataError, match="macro_f1 has nothing to score"):
        metric.compute(references=[], predictions=[])
    assert metric.compute(references=[1], predictions=[1]) == {"macro_f1": 1.0}


def test_a_cache_on_disk_works_where_asked_for(tmp_path: Path) -> None:
    metric = Accuracy(keep_in_memory=False, cache_dir=str(tmp_path / "cache"))
    metric.add_batch(references=[0, 1], predictions=[0, 0])
    assert metric.compute() == {"accuracy": 0.5}


def test_importing_the_package_loads_neither_evaluate_nor_torch() -> None:
    root = Path(evaluation.__file__).parents[2]
    code = (
        "import sys, xlingual.evaluation as package\n"
        "heavy = {'evaluate', 'torch'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert 'Accuracy' in dir(package)\n"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(root)},
    )


def test_public_names() -> None:
    assert evaluation.__all__ == sorted(evaluation.__all__)
    assert all(hasattr(evaluation, name) for name in evaluation.__all__)
    with pytest.raises(AttributeError, match="attribute Recall"):
        evaluation.Recall  # noqa: B018
