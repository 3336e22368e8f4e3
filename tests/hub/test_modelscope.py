"""ModelScope's own client pushes to a ModelScope on loopback."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest

from tests.classifiers import save_classifier
from tests.hub.conftest import contents
from tests.hub.modelscope_server import PRIVATE, TOKEN, ModelScope, Repo, serve
from xlingual.errors import ConfigError, LabelSpaceError, MissingDependencyError, OutputError
from xlingual.hub import push_to_modelscope


@pytest.fixture
def cloud(monkeypatch, tmp_path, waits) -> Iterator[ModelScope]:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MODELSCOPE_API_TOKEN", TOKEN)
    with serve() as server:
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", server.url)
        yield server


def test_the_same_files_as_to_the_other_hub(cloud, adapter_model):
    before = contents(adapter_model)
    address = push_to_modelscope(adapter_model, "zhang/model", private=True, commit_message="一")
    assert address == f"{cloud.url}/models/zhang/model"
    repo = cloud.repos["zhang/model"]
    assert repo.files.keys() == before.keys()
    assert json.loads(repo.files["adapter_config.json"])["base_model_name_or_path"] == "zhang/model"
    for name in before.keys() - {"adapter_config.json"}:
        assert repo.files[name] == before[name], name
    assert contents(adapter_model) == before, "the client's cache is not left in the folder"
    assert repo.visibility == PRIVATE
    assert [message.partition(" (")[0] for message in repo.messages] == ["master: 一"]


def test_another_branch(cloud, full_model):
    push_to_modelscope(full_model, "zhang/model", revision="v2")
    assert all(message.startswith("v2: ") for message in cloud.repos["zhang/model"].messages)


def test_another_label_space(cloud, full_model, encoder, tmp_path):
    push_to_modelscope(full_model, "zhang/model")
    other = save_classifier(encoder, tmp_path / "other", labels=("体育", "财经"))
    with pytest.raises(LabelSpaceError, match="差评, 好评"):
        push_to_modelscope(other, "zhang/model")
    push_to_modelscope(other, "zhang/model", replace_labels=True)
    assert cloud.repos["zhang/model"].files["config.json"] == (other / "config.json").read_bytes()


def test_a_repository_without_a_model(cloud, full_model):
    cloud.repos["zhang/model"] = Repo()
    push_to_modelscope(full_model, "zhang/model")
    assert "config.json" in cloud.repos["zhang/model"].files


def test_private_was_asked_for_and_it_is_public(cloud, full_model):
    cloud.repos["zhang/model"] = Repo()
    with pytest.raises(OutputError, match="not known to be private"):
        push_to_modelscope(full_model, "zhang/model", private=True)
    assert cloud.repos["zhang/model"].files == {}
    cloud.repos["zhang/model"].visibility = PRIVATE
    push_to_modelscope(full_model, "zhang/model", private=True)
    assert "config.json" in cloud.repos["zhang/model"].files


def test_what_passes_is_tried_again(cloud, waits, full_model):
    cloud.failures = [502, 503]
    push_to_modelscope(full_model, "zhang/model")
    assert waits
    assert cloud.failures == []
    assert cloud.repos["zhang/model"].files.keys() == contents(full_model).keys()


def test_what_does_not_pass_is_said(cloud, full_model, monkeypatch, caplog):
    monkeypatch.setenv("MODELSCOPE_API_TOKEN", "ms-" + TOKEN[3:].replace("1", "7"))
    with pytest.raises(OutputError, match=r"is invalid.*--hub modelscope") as caught:
        push_to_modelscope(full_model, "zhang/model")
    assert "ms-7" not in str(caught.value)
    assert cloud.repos == {}


def test_a_server_that_stays_down(cloud, full_model):
    cloud.failures = [502] * 999
    before = contents(full_model)
    with pytest.raises(OutputError, match="is kept as it is: push it later with") as caught:
        push_to_modelscope(full_model, "zhang/model")
    assert TOKEN not in str(caught.value)
    assert contents(full_model) == before


@pytest.mark.parametrize("repo_id", ["作者/模型", "alone"])
def test_an_illegal_id(cloud, full_model, repo_id):
    with pytest.raises((ConfigError, OutputError), match="repository id"):
        push_to_modelscope(full_model, repo_id)
    assert cloud.requests == []


def test_not_installed(full_model, monkeypatch):
    monkeypatch.setitem(sys.modules, "modelscope_hub", None)
    with pytest.raises(MissingDependencyError, match="pip install"):
        push_to_modelscope(full_model, "zhang/model")
