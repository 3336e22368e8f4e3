"""The checks of a folder before anything is sent, and the files of it that are sent."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.hub.conftest import contents
from tests.hub.server import WRITER
from xlingual.errors import ConfigError, LabelSpaceError, ModelLoadError
from xlingual.hub import push_folder
from xlingual.hub.contents import check_labels, label_space_of, read_model_folder, scrub
from xlingual.labels import LabelSpace


def read(folder):
    return read_model_folder(folder, repo_id="me/model", token=WRITER)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "holds no model.*it holds nothing"),
        ({"笔记.txt": "x"}, "holds no model.*笔记.txt"),
        ({"config.json": "{}"}, "holds no model"),
        ({"adapter_config.json": "{}"}, "holds no model"),
        ({"config.json": "{}", "pytorch_model.bin": "x"}, "pickled weights .pytorch_model.bin"),
        ({"config.json": "{}", "model.safetensors": "cut"}, "damaged"),
        (
            {
                "config.json": "{}",
                "model.safetensors.index.json": '{"weight_map": {"a": "model-1.safetensors"}}',
            },
            "model-1.safetensors is missing",
        ),
    ],
)
def test_what_is_no_model(hub, tmp_path, files, message):
    for name, text in files.items():
        (tmp_path / "x").mkdir(exist_ok=True)
        (tmp_path / "x" / name).write_text(text, encoding="utf-8")
    (tmp_path / "x").mkdir(exist_ok=True)
    before = contents(tmp_path / "x")
    with pytest.raises(ModelLoadError, match=message):
        push_folder(tmp_path / "x", "me/model")
    assert hub.requests == []
    assert contents(tmp_path / "x") == before


@pytest.mark.parametrize("name", ["none", "file"])
def test_no_folder(tmp_path, name):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ModelLoadError, match="expected the folder of a saved model"):
        read(tmp_path / name)


@pytest.mark.parametrize("name", ["model.pkl", "head.pt", "sub/extra.bin", "weights.ckpt"])
def test_pickled_weights_beside_safe_ones(full_model, tmp_path, name):
    folder = shutil.copytree(full_model, tmp_path / "model")
    (folder / "sub").mkdir()
    (folder / name).write_bytes(b"\x80\x04.")
    with pytest.raises(ModelLoadError, match=f"pickled weights .{name}"):
        read(folder)


def test_an_adapter_whose_base_is_only_here(adapter_model, tmp_path):
    folder = shutil.copytree(adapter_model, tmp_path / "model")
    (folder / "model.safetensors").unlink()
    (folder / "config.json").unlink()
    with pytest.raises(ModelLoadError, match=r"only on this machine.*--save_base_model true"):
        read(folder)
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text()) | {"base_model_name_or_path": "xlm-roberta-base"}
    path.write_text(json.dumps(config))
    pushed = json.loads(read(folder).files["adapter_config.json"])
    assert pushed["base_model_name_or_path"] == "xlm-roberta-base"


@pytest.mark.parametrize("token", [WRITER, "hf_" + "Q" * 34])
def test_a_token_in_a_file(full_model, tmp_path, token):
    """Ours, and anybody's; the message says where and not what."""
    folder = shutil.copytree(full_model, tmp_path / "model")
    (folder / "run_config.yaml").write_text(f"tracker: {token}\n")
    with pytest.raises(ConfigError, match=r"run_config\.yaml holds an access token") as caught:
        read(folder)
    assert token not in str(caught.value)


def test_scrub():
    assert scrub(f"a\n {WRITER} b secret", "secret") == "a *** b ***"
    assert scrub("plain", None) == "plain"


@pytest.mark.parametrize(
    ("own", "there", "fits"),
    [
        (("neg", "pos"), ("neg", "pos"), True),
        (("neg", "pos"), ("Neg", "POS"), True),
        (("neg", "pos"), ("pos", "neg"), False),
        (("neg", "pos"), ("neg", "pos", "neutral"), False),
        (("neg", "pos"), None, True),
        (None, ("neg", "pos"), True),
    ],
)
def test_check_labels(own, there, fits):
    spaces = [None if names is None else LabelSpace(names) for names in (own, there)]
    if fits:
        check_labels(*spaces, repo_id="me/model")
    else:
        with pytest.raises(LabelSpaceError, match="me/model holds a model"):
            check_labels(*spaces, repo_id="me/model")


def test_label_space_of():
    assert label_space_of({"id2label": {"10": "k", "2": "c"}}) == LabelSpace(("c", "k"))
    assert label_space_of({}, ["a", "b"]) == LabelSpace(("a", "b"))
    assert label_space_of({"id2label": {"0": "A", "1": "a"}}) is None
    assert label_space_of({"id2label": "odd"}) is None
