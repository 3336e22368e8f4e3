"""``xlingual push`` from the command line: one line and exit code 2 for what cannot be."""

from __future__ import annotations

import logging

import pytest

from tests.hub.conftest import adapter_model, contents, full_model, hub, waits  # noqa: F401
from tests.hub.server import READER
from xlingual import cli


@pytest.fixture(autouse=True)
def _logging_as_before():
    logger = logging.getLogger("xlingual")
    handlers, propagate, level = logger.handlers, logger.propagate, logger.level
    yield
    logger.handlers, logger.propagate = handlers, propagate
    logger.setLevel(level)


def refused(capsys, *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        cli.main(["push", *arguments])
    assert ended.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("error: ")
    return lines[-1]


def test_push(hub, full_model, capsys):  # noqa: F811
    cli.main(["push", str(full_model), "writer/x", "--private", "--message", "第一版"])
    assert capsys.readouterr().out.startswith(f"{hub.url}/writer/x/commit/")
    assert hub.repos["writer/x"].private
    assert hub.commits("writer/x") == ["initial commit", "第一版"]
    cli.main(["push", str(full_model), "writer/x", "--revision", "v2", "--replace_labels", "true"])
    assert hub.files("writer/x", "v2") == contents(full_model)


def test_refusals(hub, full_model, tmp_path, capsys, monkeypatch):  # noqa: F811
    assert "holds no model" in refused(capsys, str(tmp_path), "writer/x")
    assert "is not a repository id" in refused(capsys, str(full_model), "writer//x")
    monkeypatch.setenv("HF_TOKEN", READER)
    line = refused(capsys, str(full_model), "writer/x")
    assert "may not write" in line
    assert READER not in line
    monkeypatch.delenv("HF_TOKEN")
    assert "needs a token" in refused(capsys, str(full_model), "writer/x")
    assert hub.repos == {}


def test_modelscope_is_not_installed(full_model, capsys, monkeypatch):  # noqa: F811
    monkeypatch.setitem(__import__("sys").modules, "modelscope_hub", None)
    line = refused(capsys, str(full_model), "writer/x", "--hub", "modelscope")
    assert 'pip install "xlingual[modelscope]"' in line


def test_the_flags_are_explained(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["push", "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert all(flag in shown for flag in ("--private", "--revision", "--replace_labels", "--hub"))
    assert "--token" not in shown
