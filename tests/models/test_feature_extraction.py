"""Features of each architecture, in order, and from the cache only where nothing has changed."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from datasets import Dataset

from xlingual import LabelSpace, extract_features, get_task, load_model
from xlingual.errors import ConfigError, DataError
from xlingual.models.features import output_layer

SPACE = LabelSpace(("negative", "positive"))


@pytest.fixture(params=["bert", "xlm-r", "deberta-v3", "modernbert"])
def model(request, encoders):
    torch.manual_seed(0)
    path = str(encoders[request.param])
    return load_model(path, task=get_task("sequence"), label_space=SPACE).model


@pytest.fixture
def modernbert(encoder):
    return load_model(encoder, task=get_task("sequence"), label_space=SPACE).model


def test_features_and_the_output_layer_make_the_logits(model, tokenizer, chinese) -> None:
    model.train()
    found = extract_features(model, chinese, tokenizer=tokenizer, batch_size=5)
    assert model.training
    layer = output_layer(model)
    model.eval()
    with torch.no_grad():  # row by row: the order is that of the rows, and padding changes nothing
        logits = [model(**tokenizer(t, return_tensors="pt")).logits[0] for t in chinese["text"]]
    expected = torch.stack(logits).numpy()
    made = found @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
    np.testing.assert_allclose(made, expected, atol=1e-5)


def test_mean_pooling_leaves_padding_out(model, tokenizer, chinese) -> None:
    found = extract_features(model, chinese, tokenizer=tokenizer, pooling="mean")
    model.eval()
    with torch.no_grad():
        for row, text in zip(found, chinese["text"], strict=True):
            hidden = model.base_model(**tokenizer(text, return_tensors="pt")).last_hidden_state
            np.testing.assert_allclose(row, hidden[0].mean(0).numpy(), atol=1e-5)


def test_pairs_are_read_together(modernbert, tokenizer) -> None:
    rows = Dataset.from_dict({"text": ["房间很脏。"] * 2, "text_pair": ["很脏。", "很干净。"]})
    found = extract_features(modernbert, rows, tokenizer=tokenizer, task=get_task("pair"))
    assert not np.allclose(found[0], found[1])


def test_labels_are_not_read(modernbert, tokenizer, chinese) -> None:
    poisoned = chinese.remove_columns("label").add_column("label", [f"毒{i}" for i in range(12)])
    np.testing.assert_array_equal(
        extract_features(modernbert, chinese, tokenizer=tokenizer),
        extract_features(modernbert, poisoned, tokenizer=tokenizer),
    )


def test_the_cache_knows_weights_rows_and_pooling(
    modernbert, tokenizer, chinese, tmp_path, monkeypatch
) -> None:
    def find(rows=chinese, **options):
        return extract_features(
            modernbert, rows, tokenizer=tokenizer, cache_dir=tmp_path / "f", **options
        )

    first = find()
    (file,) = (tmp_path / "f").iterdir()
    assert file.suffix == ".safetensors"
    with monkeypatch.context() as patch:
        patch.setattr(type(modernbert), "forward", None)  # nothing is computed again
        np.testing.assert_array_equal(find(batch_size=3), first)
        torch.nn.init.zeros_(output_layer(modernbert).weight)  # features do not depend on it
        np.testing.assert_array_equal(find(), first)
    assert not np.allclose(find(chinese.select(range(11, -1, -1))), first)
    assert not np.allclose(find(pooling="mean"), first)
    with torch.no_grad():
        modernbert.head.dense.weight.mul_(-1)
    assert not np.allclose(find(), first)
    assert len(list((tmp_path / "f").iterdir())) == 4


def test_a_broken_cache_file_is_made_again(
    modernbert, tokenizer, chinese, tmp_path, caplog
) -> None:
    first = extract_features(modernbert, chinese, tokenizer=tokenizer, cache_dir=tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:50])
    with caplog.at_level(logging.WARNING, logger="xlingual"):
        again = extract_features(modernbert, chinese, tokenizer=tokenizer, cache_dir=tmp_path)
    assert "computed again" in caplog.text
    np.testing.assert_array_equal(again, first)


def test_bad_input_is_refused(modernbert, tokenizer, chinese) -> None:
    with pytest.raises(ConfigError, match="head or mean"):
        extract_features(modernbert, chinese, tokenizer=tokenizer, pooling="max")
    with pytest.raises(DataError, match="no rows"):
        extract_features(modernbert, chinese.select([]), tokenizer=tokenizer)
    with torch.no_grad():
        modernbert.head.norm.weight.fill_(float("nan"))
    with pytest.raises(DataError, match="not finite"):
        extract_features(modernbert, chinese, tokenizer=tokenizer)
