"""Before a target label is read: an estimate, and the class shares in the output bias."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from datasets import Dataset
from scipy.special import softmax

from xlingual import (
    LabelPredictions,
    LabelSpace,
    TransferReport,
    correct_label_shift,
    estimate_target,
    get_task,
    load_model,
)
from xlingual.evaluation import score_set
from xlingual.models.features import output_layer

SPACE = LabelSpace(("差评", "好评"))
SEQUENCE = get_task("sequence")


def gaussian(prior: list[float], rows: int, seed: int) -> LabelPredictions:
    """Two classes, one apart, and their exact posterior under equal shares."""
    generator = np.random.default_rng(seed)
    labels = generator.choice(2, size=rows, p=prior)
    points = generator.normal(size=rows) + 2.0 * labels
    logits = np.stack([np.zeros(rows), 2.0 * points - 2.0], axis=1)
    probs = softmax(logits, axis=1)
    return LabelPredictions(labels, probs.argmax(axis=1), probs)


class Trained:
    """Predicts what the text says, shifted by the bias of its real output layer."""

    label_space = SPACE

    def __init__(self, encoder: str, target: LabelPredictions) -> None:
        self.model = load_model(encoder, task=SEQUENCE, label_space=SPACE).model
        self.target = target
        self.read = 0
        with torch.no_grad():
            output_layer(self.model).bias.zero_()

    @property
    def bias(self) -> np.ndarray:
        bias = output_layer(self.model).bias
        return np.zeros(2) if bias is None else bias.detach().numpy()

    def predict_labels(self, dataset: Dataset) -> LabelPredictions:
        rows = [int(text.split()[0]) for text in dataset["text"]]
        self.read += len(rows)
        probs = softmax(np.log(self.target.probs[rows]) + self.bias, axis=1)
        return LabelPredictions(np.full(len(rows), -100), probs.argmax(axis=1), probs)


@pytest.fixture(scope="module")
def report() -> TransferReport:
    source = score_set("en", gaussian([0.5, 0.5], 800, 0), task=SEQUENCE, label_space=SPACE)
    return TransferReport(
        task=SEQUENCE, label_space=SPACE, source=[source], targets=[], selection="last"
    )


def numbered(rows: int) -> Dataset:
    return Dataset.from_dict({"text": [str(row) for row in range(rows)]})


@pytest.fixture
def shifted(encoder) -> Trained:
    return Trained(encoder, gaussian([0.8, 0.2], 1500, 1))


def test_an_estimate_leaves_the_model_alone(report, shifted) -> None:
    done = estimate_target(shifted, report, {"zh": numbered(1500)})
    assert not shifted.bias.any()
    assert done.notes == ()
    right = (shifted.target.predictions == shifted.target.references).mean()
    assert done.estimates["zh"].low < right < done.estimates["zh"].high
    assert done.estimates["zh"].value == pytest.approx(right, abs=0.05)


def test_the_estimate_is_the_agreement_with_the_words(report, shifted) -> None:
    """Every fifth row contradicts its label; the model's confidences do not show it."""
    said = ("前台态度太差了", "房间很舒服")
    predicted = shifted.target.predictions
    spoken = np.where(np.arange(1500) % 5 == 0, 1 - predicted, predicted)
    texts = [f"{row} {said[label]}" for row, label in enumerate(spoken)]
    done = estimate_target(shifted, report, {"zh": Dataset.from_dict({"text": texts})})
    assert done.estimates["zh"].value == pytest.approx(0.8, abs=0.01)
    assert done.estimates["zh"].low < 0.8 < done.estimates["zh"].high


def test_other_shares_go_into_the_bias(report, shifted) -> None:
    done = estimate_target(shifted, report, {"zh": numbered(1500)}, correct_shift=True)
    source = report.pooled_source
    expected = correct_label_shift(
        source_probs=source.probs,
        source_references=source.references,
        target_probs=shifted.target.probs,
    )
    assert expected.is_applied
    np.testing.assert_allclose(shifted.bias, expected.logit_shift, atol=0.02)
    assert shifted.bias[0] > shifted.bias[1], "the first class is the larger one"
    assert "label shift: corrected in the saved model (en is scored without)" in done.notes[0]
    assert "estimated class shares" in done.notes[0]
    assert done.results()["label_shift_corrected"] == 1.0
    assert done.source == report.source
    plain = report.with_estimates({"zh": shifted.target}).estimates["zh"]
    assert done.estimates["zh"].value > plain.value, "it is that of the model as it is saved"


def test_equal_shares_change_nothing(report, encoder) -> None:
    same = Trained(encoder, gaussian([0.5, 0.5], 600, 2))
    done = estimate_target(same, report, {"zh": numbered(600)}, correct_shift=True)
    assert not same.bias.any()
    assert done.results()["label_shift_corrected"] == 0.0
    assert done.notes[0].startswith("label shift: the model is left as it is; estimated class")
    assert "zh" in done.estimates


def test_sets_are_estimated_apart_and_corrected_together(report, shifted) -> None:
    sets = {"zh_a": numbered(1500).select(range(700)), "zh_b": numbered(1500)}
    done = estimate_target(shifted, report, sets, correct_shift=True, max_rows=500)
    assert done.estimates.keys() == {"zh_a", "zh_b"}
    assert shifted.read == 2 * 2 * 500, "for the shares, and for the estimates"
    assert shifted.bias.any()


def left_alone(trained: Trained, report: TransferReport) -> str:
    done = estimate_target(trained, report, {"zh": numbered(300)}, correct_shift=True)
    assert done.costs["label_shift_corrected"] == 0.0
    assert not trained.bias.any()
    return done.notes[0]


def test_what_cannot_be_corrected_is_said(report, shifted) -> None:
    assert "no source validation" in left_alone(shifted, replace(report, source=[]))
    several = replace(report, task=get_task("multi_label"))
    assert "one label per row" in left_alone(shifted, several)
    shifted.is_fsdp_enabled = True
    assert "sharded over the processes" in left_alone(shifted, report)
    shifted.is_fsdp_enabled = False
    output_layer(shifted.model).bias = None
    assert "no bias" in left_alone(shifted, report)


def test_the_words_of_the_text_are_asked(report, shifted) -> None:
    """The shares look like others, but the words go with what was read without a correction."""
    said = ("前台态度太差了", "房间很舒服")
    texts = [f"{row} {said[label]}" for row, label in enumerate(shifted.target.predictions)]
    rows = Dataset.from_dict({"text": texts})
    done = estimate_target(shifted, report, {"zh": rows}, correct_shift=True)
    assert not shifted.bias.any()
    assert "fewer rows would agree with the n-grams of the target" in done.notes[0]
