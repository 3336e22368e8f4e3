"""ModelScope by a module whose signatures are those of modelscope 1.40."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from tests.classifiers import save_classifier
from tests.hub.conftest import contents
from xlingual.errors import ConfigError, LabelSpaceError, MissingDependencyError, OutputError
from xlingual.hub import push_to_modelscope

TOKEN = "ms-12345678-1234-1234-1234-123456789abc"


class ServerError(Exception):
    retryable = True


class NotExistError(Exception):
    retryable = False


class AuthenticationError(Exception):
    retryable = False


class Cloud:
    """What the fake client has stored, and how it shall fail."""

    def __init__(self) -> None:
        self.repos: dict[str, dict[str, bytes]] = {}
        self.calls: list[tuple[str, dict]] = []
        self.failures: list[Exception] = []
        self.visibility = 5


@pytest.fixture
def cloud(monkeypatch) -> Cloud:
    state = Cloud()

    class HubApi:
        def __init__(self, endpoint=None, timeout=60, max_retries=2, token=None):
            self.endpoint, self.token = "https://www.modelscope.cn", token

        def repo_exists(
            self, repo_id, *, repo_type=None, endpoint=None, re_raise=False, token=None
        ):
            return repo_id in state.repos

        def get_repo(self, repo_id, repo_type, *, revision=None):
            return SimpleNamespace(visibility=state.visibility)

        def create_repo(
            self,
            repo_id,
            *,
            token=None,
            visibility=None,
            repo_type="model",
            chinese_name=None,
            license=None,
            exist_ok=False,
            create_default_config=False,
            endpoint=None,
            **kwargs,
        ):
            state.calls.append(("create", {"visibility": visibility, "token": token}))
            state.repos.setdefault(repo_id, {})

        def upload_folder(self, repo_id, folder_path=None, **kwargs):
            known = {"repo_type", "token", "commit_message", "revision"}
            assert kwargs.keys() <= known
            state.calls.append(("upload", kwargs))
            if state.failures:
                raise state.failures.pop(0)
            (Path(folder_path) / ".ms_upload_cache").write_text("{}")
            files = contents(Path(folder_path))
            state.repos[repo_id] |= {n: t for n, t in files.items() if n != ".ms_upload_cache"}

    def model_file_download(
        model_id,
        file_path,
        revision=None,
        *,
        cache_dir=None,
        local_dir=None,
        cookies=None,
        token=None,
        endpoint=None,
        local_files_only=False,
        user_agent=None,
    ):
        if file_path not in state.repos[model_id]:
            raise NotExistError(file_path)
        path = Path(local_dir) / file_path
        path.write_bytes(state.repos[model_id][file_path])
        return str(path)

    names = {"api": {"HubApi": HubApi}, "errors": {"NotExistError": NotExistError}}
    names["file_download"] = {"model_file_download": model_file_download}
    for name in ("modelscope", "modelscope.hub"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    for name, members in names.items():
        module = ModuleType(f"modelscope.hub.{name}")
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setenv("MODELSCOPE_API_TOKEN", TOKEN)
    return state


def test_the_same_files_as_to_the_other_hub(cloud, adapter_model):
    before = contents(adapter_model)
    address = push_to_modelscope(adapter_model, "zhang/model", private=True, commit_message="一")
    assert address == "https://www.modelscope.cn/models/zhang/model"
    pushed = cloud.repos["zhang/model"]
    assert pushed.keys() == before.keys()
    assert json.loads(pushed["adapter_config.json"])["base_model_name_or_path"] == "zhang/model"
    assert contents(adapter_model) == before, "the client's cache is not left in the folder"
    (_, created), (_, uploaded) = cloud.calls
    assert created == {"visibility": "private", "token": TOKEN}
    expected = {"repo_type": "model", "token": TOKEN, "commit_message": "一", "revision": "master"}
    assert uploaded == expected


def test_another_label_space(cloud, full_model, encoder, tmp_path):
    push_to_modelscope(full_model, "zhang/model")
    other = save_classifier(encoder, tmp_path / "other", labels=("体育", "财经"))
    with pytest.raises(LabelSpaceError, match="差评, 好评"):
        push_to_modelscope(other, "zhang/model")
    push_to_modelscope(other, "zhang/model", replace_labels=True)
    assert cloud.repos["zhang/model"]["config.json"] == (other / "config.json").read_bytes()


def test_a_repository_without_a_model(cloud, full_model):
    cloud.repos["zhang/model"] = {}
    push_to_modelscope(full_model, "zhang/model")
    assert "config.json" in cloud.repos["zhang/model"]


def test_private_was_asked_for_and_it_is_public(cloud, full_model):
    cloud.repos["zhang/model"] = {}
    with pytest.raises(OutputError, match="not known to be private"):
        push_to_modelscope(full_model, "zhang/model", private=True)
    assert cloud.calls == []
    cloud.visibility = 1
    push_to_modelscope(full_model, "zhang/model", private=True)
    assert "config.json" in cloud.repos["zhang/model"]


def test_what_passes_is_tried_again_and_what_does_not_is_said(cloud, waits, full_model):
    cloud.failures = [ServerError("502"), ConnectionError("reset")]
    push_to_modelscope(full_model, "zhang/model")
    assert waits == [1.0, 2.0]
    cloud.failures = [AuthenticationError(f"token {TOKEN} is invalid")]
    with pytest.raises(OutputError, match=r"token \*\*\* is invalid.*--hub modelscope"):
        push_to_modelscope(full_model, "zhang/model")
    assert waits == [1.0, 2.0]


@pytest.mark.parametrize("repo_id", ["作者/模型", "alone"])
def test_an_illegal_id(cloud, full_model, repo_id):
    with pytest.raises((ConfigError, OutputError), match="repository id"):
        push_to_modelscope(full_model, repo_id)
    assert cloud.calls == []


def test_not_installed(full_model, monkeypatch):
    monkeypatch.setitem(sys.modules, "modelscope", None)
    with pytest.raises(MissingDependencyError, match="pip install"):
        push_to_modelscope(full_model, "zhang/model")
