"""The features of a frozen encoder, and how the head becomes part of its folder."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from xlingual import FrozenEncoder, LabelSpace, get_task
from xlingual.errors import ConfigError, DataError

SPACE = LabelSpace(("negative", "positive"))


def frozen(*models, **options) -> FrozenEncoder:
    return FrozenEncoder(models, task=get_task("sequence"), label_space=SPACE, **options)


def test_modernbert_hands_on_its_normalised_mean(encoder, tokenizer, chinese) -> None:
    model = frozen(encoder)
    assert model.reason_not_saved is None
    (found,) = model.features(chinese)
    with torch.no_grad():
        for row, text in zip(found, chinese["text"], strict=True):
            inputs = tokenizer(text, return_tensors="pt")
            mean = model.models[0].base_model(**inputs).last_hidden_state[0].mean(0).numpy()
            expected = (mean - mean.mean()) / np.sqrt(mean.var() + 1e-5)
            np.testing.assert_allclose(row, expected, atol=1e-4)


@pytest.mark.parametrize("name", ["bert", "xlm-r", "deberta-v3"])
def test_a_new_pooler_is_passed_by(encoders, name) -> None:
    model = frozen(str(encoders[name]))
    assert model.poolings == ["mean"]
    assert "is new" in (model.reason_not_saved or "")


def test_the_encoder_does_not_move(encoder, english, chinese) -> None:
    model = frozen(encoder)
    before = {name: p.clone() for name, p in model.models[0].named_parameters()}
    model.fit(english, strength=0.1)
    model.centre(chinese)
    assert all(torch.equal(before[name], p) for name, p in model.models[0].named_parameters())
    assert model.target_shift.sum() == pytest.approx(0)
    assert model.target_shift.any()


def test_rows_without_labels_are_predicted(encoder, english, chinese) -> None:
    model = frozen(encoder)
    model.fit(english, strength=0.1)
    output = model.predict_labels(chinese.remove_columns("label"))
    assert (output.references == -100).all()
    assert output.probs.shape == (12, 2)


def test_two_encoders_side_by_side(encoders, english) -> None:
    model = frozen(str(encoders["modernbert"]), str(encoders["bert"]))
    assert model.poolings == ["head", "mean"]
    model.fit(english, strength=0.1, fusion="gate")
    assert model.head is not None
    assert model.head.weight.shape == (2, 64)


def test_bad_input_is_refused(encoder, chinese) -> None:
    with pytest.raises(ConfigError, match="one or two encoders"):
        frozen(encoder, encoder, encoder)
    with pytest.raises(ConfigError, match="single-label"):
        FrozenEncoder([encoder], task=get_task("multi_label"), label_space=SPACE)
    with pytest.raises(DataError, match="not fitted yet"):
        frozen(encoder).predict_labels(chinese)
