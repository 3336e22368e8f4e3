"""Hubs that fail, refuse, or cannot be reached: a retry, or one clear line."""

from __future__ import annotations

import logging
import shutil

import pytest
import torch
from huggingface_hub import constants

from tests.classifiers import save_classifier
from tests.hub.conftest import contents
from tests.hub.server import READER, WRITER
from xlingual.errors import ConfigError, LabelSpaceError, OutputError
from xlingual.hub import push_folder

UPLOAD = r"/lfs/[0-9a-f]{64}$"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/api/repos/create", 500),
        ("POST", "/preupload/", 503),
        ("POST", "/objects/batch", 500),
        ("PUT", UPLOAD, 500),
        ("POST", "/verify", 502),
        ("POST", "/commit/", 500),
        ("POST", "/commit/", 409),
        ("PUT", UPLOAD, None),
        ("POST", "/commit/", None),
        ("GET", "/api/models/", None),
    ],
)
def test_what_passes_is_tried_again(hub, waits, full_model, method, path, status):
    """Once each, None for a connection dropped in the middle of the request."""
    hub.fail(method, path, status)
    push_folder(full_model, "writer/full")
    assert hub.faults[0].times == 0
    assert waits
    assert hub.files("writer/full") == contents(full_model)
    assert len(hub.commits("writer/full")) == 2


def test_the_waits_grow_and_end(hub, waits, full_model):
    before = contents(full_model)
    hub.fail("POST", "/commit/", 500, times=99)
    with pytest.raises(OutputError, match=r"status 500 .* kept as it is: push it later with: "):
        push_folder(full_model, "writer/full")
    assert waits == [1.0, 2.0, 4.0]
    assert hub.commits("writer/full") == ["initial commit"], "nothing half-written"
    assert contents(full_model) == before


def test_a_commit_of_somebody_else_in_between(hub, waits, full_model, monkeypatch):
    """Ours builds on the state that was checked; theirs stays."""
    hub.add_repo("writer/full", **{"notes.md": b"ours"})
    happened = []
    plain = hub.requests.append

    class Requests(list):
        def append(self, request):
            if "preupload" in request[1] and not happened:
                happened.append(True)
                hub.commit_by_somebody("writer/full", notes__md="他们的".encode())
            plain(request)

    monkeypatch.setattr(hub, "requests", Requests())
    push_folder(full_model, "writer/full")
    assert waits == [1.0]
    assert hub.commits("writer/full") == ["initial commit", "theirs", "Upload model"]
    assert hub.files("writer/full")["notes.md"].decode() == "他们的"


def test_an_answer_that_is_lost_makes_no_second_commit(hub, full_model):
    """The commit was made, and the connection broke before the client heard of it."""
    push_folder(full_model, "writer/full")
    hub.fail("POST", "/commit/", None)
    push_folder(full_model, "writer/full")
    assert len(hub.commits("writer/full")) == 2


@pytest.mark.parametrize(
    ("token", "status", "message"),
    [
        (None, 401, "needs a token: set HF_TOKEN"),
        ("hf_" + "x" * 34, 401, "rejects the token"),
        (READER, 403, "may not write to writer/full"),
    ],
)
@pytest.mark.parametrize("is_there", [True, False])
def test_no_permission_is_said_once_and_at_once(
    hub, waits, full_model, monkeypatch, caplog, token, status, message, is_there
):
    if is_there:
        hub.add_repo("writer/full")
    monkeypatch.setenv("HF_TOKEN", token) if token else monkeypatch.delenv("HF_TOKEN")
    caplog.set_level(logging.DEBUG)
    with pytest.raises(OutputError, match=message) as caught:
        push_folder(full_model, "writer/full")
    assert waits == []
    assert "\n" not in str(caught.value)
    if token:
        assert token not in str(caught.value) + caplog.text
    assert not hub.objects


def test_a_token_is_in_no_message(hub, full_model, monkeypatch, caplog):
    """Also where the client quotes it."""
    from huggingface_hub import HfApi

    def fail(*_args, **_kwargs):
        raise ValueError(f"header Authorization: Bearer {WRITER}\nis odd")

    monkeypatch.setattr(HfApi, "create_commit", fail)
    caplog.set_level(logging.DEBUG)
    with pytest.raises(OutputError, match=r"Bearer \*\*\* is odd") as caught:
        push_folder(full_model, "writer/full")
    assert WRITER not in str(caught.value) + caplog.text
    assert caught.value.__suppress_context__


def test_a_server_that_is_down(waits, hub, full_model, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(OutputError, match=r"127\.0\.0\.1:9 cannot be reached .* HF_ENDPOINT"):
        push_folder(full_model, "writer/full")
    assert waits == [1.0, 2.0, 4.0]


def test_offline(hub, full_model, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(OutputError, match=r"HF_HUB_OFFLINE=1.* kept as it is"):
        push_folder(full_model, "writer/full")
    assert hub.requests == []


@pytest.mark.parametrize(
    "repo_id", ["", "a/b/c", "作者/模型", "me/-x", "me/x.git", "me/x y", "../x"]
)
def test_an_illegal_id_makes_no_traffic(hub, full_model, repo_id):
    with pytest.raises(ConfigError, match="is not a repository id; expected namespace/name"):
        push_folder(full_model, repo_id)
    assert hub.requests == []


@pytest.mark.parametrize(
    ("labels", "difference"),
    [
        (("好评", "差评"), "these labels in another order"),
        (("体育", "财经", "科技"), "other labels"),
    ],
)
def test_another_label_space_is_not_pushed_over(
    hub, encoder, full_model, tmp_path, labels, difference
):
    push_folder(full_model, "writer/model")
    other = save_classifier(encoder, tmp_path / "other", labels=labels)
    with pytest.raises(LabelSpaceError, match=f"{difference}: 差评, 好评.*--replace_labels true"):
        push_folder(other, "writer/model")
    assert len(hub.commits("writer/model")) == 2
    push_folder(other, "writer/model", replace_labels=True)
    assert (
        hub.files("writer/model")["model.safetensors"] == (other / "model.safetensors").read_bytes()
    )


def test_another_label_space_that_came_in_between(hub, full_model, encoder, tmp_path, monkeypatch):
    """It is looked at again before every try, so nobody's model is lost to a race."""
    other = save_classifier(encoder, tmp_path / "other", labels=("体育", "财经"))
    theirs = (other / "config.json").read_bytes()
    hub.add_repo("writer/full")
    plain = hub.requests.append
    happened = []

    class Requests(list):
        def append(self, request):
            if "preupload" in request[1] and not happened:
                happened.append(True)
                hub.commit_by_somebody("writer/full", config__json=theirs)
            plain(request)

    monkeypatch.setattr(hub, "requests", Requests())
    with pytest.raises(LabelSpaceError, match="体育, 财经"):
        push_folder(full_model, "writer/full")
    assert hub.files("writer/full") == {"config.json": theirs}


def test_private_was_asked_for_and_it_is_public(hub, full_model):
    hub.add_repo("writer/full")
    with pytest.raises(OutputError, match="exists and is public"):
        push_folder(full_model, "writer/full", private=True)
    assert not hub.objects


def test_a_card_that_the_hub_does_not_take(hub, full_model, tmp_path):
    """The one that PEFT writes by itself: its base is a path of this machine."""
    folder = shutil.copytree(full_model, tmp_path / "model")
    (folder / "README.md").write_text("---\nbase_model: /home/zhang/模型\n---\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"rejects the model card.*base_model"):
        push_folder(folder, "writer/full")
    assert hub.commits("writer/full") == ["initial commit"]


def test_a_file_that_is_written_to_meanwhile(hub, full_model, tmp_path):
    from safetensors.torch import save_file

    folder = shutil.copytree(full_model, tmp_path / "model")
    plain = hub.requests.append

    class Requests(list):
        def append(self, request):
            if "objects/batch" in request[1]:
                save_file({"a": torch.zeros(2)}, folder / "model.safetensors")
            plain(request)

    hub.requests = Requests()
    with pytest.raises(OutputError):
        push_folder(folder, "writer/full")
    assert hub.commits("writer/full") == ["initial commit"]
