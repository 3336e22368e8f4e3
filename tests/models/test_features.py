from __future__ import annotations

import pytest
import torch
from transformers import AutoModel, AutoModelForSequenceClassification, EuroBertConfig

from xlingual import get_task
from xlingual.errors import ConfigError
from xlingual.models.adapters import add_adapter
from xlingual.models.features import FeatureTap, output_layer

LAYOUTS = ("bert", "xlm-r", "deberta-v3", "modernbert")


@pytest.mark.parametrize("adapted", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_output_layer_makes_the_logits_of_its_features(encoders, layout, adapted, tokenizer):
    model = AutoModelForSequenceClassification.from_pretrained(encoders[layout], num_labels=3)
    if adapted:
        model = add_adapter(model, kind="lora", task=get_task("sequence"))
    model.eval()
    tap = FeatureTap(model)
    batch = tokenizer(
        ["房间很干净", "the room was clean and quiet"], return_tensors="pt", padding=True
    )
    with torch.no_grad():
        logits = model(**batch).logits
        features = tap.take()
    assert features.shape == (2, tap.hidden_size)
    layer = output_layer(model)
    torch.testing.assert_close(features @ layer.weight.T + layer.bias, logits)


def test_features_are_taken_once(encoder, tokenizer):
    model = AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=2)
    tap = FeatureTap(model)
    model(**tokenizer(["很好"], return_tensors="pt"))
    tap.take()
    with pytest.raises(RuntimeError):
        tap.take()
    tap.remove()
    model(**tokenizer(["很好"], return_tensors="pt"))
    assert tap.features is None


def test_a_model_without_a_head(encoder):
    with pytest.raises(ConfigError, match="expected a classification model"):
        output_layer(AutoModel.from_pretrained(encoder))


def test_averaged_logits_have_no_features(tokenizer):
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    batch = tokenizer(["很好", "房间很脏"], padding=True, return_tensors="pt")
    for pooling in ("mean", "late"):
        config = EuroBertConfig(
            vocab_size=len(tokenizer), intermediate_size=16, classifier_pooling=pooling,
            num_key_value_heads=2, pad_token_id=0, bos_token_id=2, eos_token_id=3, **shape,
        )  # fmt: skip
        model = AutoModelForSequenceClassification.from_config(config).eval()
        tap = FeatureTap(model)
        if pooling == "late":
            with pytest.raises(ConfigError, match="set classifier_pooling to mean"):
                model(**batch)
        else:
            logits = model(**batch).logits
            torch.testing.assert_close(output_layer(model)(tap.take()), logits)
