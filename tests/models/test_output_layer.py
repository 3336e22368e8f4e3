"""Corrections written into the output layer survive saving, and move the logits as they should."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from xlingual import LabelSpace, get_task, load_model, shift_output_bias
from xlingual.errors import ConfigError, DataError
from xlingual.models.features import output_layer
from xlingual.models.output_layer import set_output_layer

SPACE = LabelSpace(("好评", "差评", "中评"))


@pytest.fixture(params=["bert", "xlm-r", "deberta-v3", "modernbert"])
def model(request, encoders):
    torch.manual_seed(0)
    path = str(encoders[request.param])
    return load_model(path, task=get_task("sequence"), label_space=SPACE).model.eval()


def logits(model, tokenizer):
    with torch.no_grad():
        return model(**tokenizer("房间很干净", return_tensors="pt")).logits.numpy()


def test_the_shift_is_added_and_saved(model, tokenizer, tmp_path) -> None:
    before = logits(model, tokenizer)
    shift_output_bias(model, [0.5, -0.25, 0.0])
    expected = before + np.array([[0.5, -0.25, 0.0]])
    np.testing.assert_allclose(logits(model, tokenizer), expected, atol=1e-5)
    model.save_pretrained(tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path, dtype=torch.float32)
    np.testing.assert_allclose(logits(loaded.eval(), tokenizer), expected, atol=1e-5)


def test_a_map_is_written_whole(model, tokenizer) -> None:
    set_output_layer(model, np.zeros((3, 32)), [1.0, 2.0, 3.0])
    np.testing.assert_allclose(logits(model, tokenizer), [[1, 2, 3]])


def test_bad_input_is_refused(model) -> None:
    with pytest.raises(DataError, match="one per label"):
        shift_output_bias(model, [0.1, 0.2])
    with pytest.raises(DataError, match="finite"):
        shift_output_bias(model, [0.1, 0.2, float("inf")])
    with pytest.raises(DataError, match="of shapes"):
        set_output_layer(model, np.zeros((3, 3)), np.zeros(3))
    output_layer(model).register_parameter("bias", None)
    with pytest.raises(ConfigError, match="no bias"):
        shift_output_bias(model, [0.1, 0.2, 0.3])
