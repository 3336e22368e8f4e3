"""A hub on loopback that this process pushes to, and models to push."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from huggingface_hub.utils import close_session
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tests.classifiers import enlarge, save_classifier
from tests.hub.server import WRITER, Hub, serve
from xlingual.models.adapters import add_adapter, complete_saved_model
from xlingual.tasks import get_task

LABELS = ("差评", "好评")
CARD = "---\nlanguage: [en, zh]\nlibrary_name: transformers\n---\n# 酒店评论\n"


@pytest.fixture(scope="session")
def full_model(encoder, tmp_path_factory) -> Path:
    folder = save_classifier(encoder, tmp_path_factory.mktemp("full") / "model", labels=LABELS)
    (folder / "README.md").write_text(CARD, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def adapter_model(encoder, tmp_path_factory) -> Path:
    """A LoRA adapter with its base beside it; PEFT's own card names a path of this machine."""
    folder = tmp_path_factory.mktemp("adapter") / "model"
    torch.manual_seed(2)
    model = AutoModelForSequenceClassification.from_pretrained(
        encoder,
        id2label=dict(enumerate(LABELS)),
        label2id={name: position for position, name in enumerate(LABELS)},
    )
    adapted = add_adapter(model, kind="lora", task=get_task("sequence"), rank=4)
    enlarge(adapted)
    adapted.save_pretrained(folder)
    complete_saved_model(adapted, folder, save_base=True)
    AutoTokenizer.from_pretrained(encoder).save_pretrained(folder)
    (folder / "README.md").write_text(CARD, encoding="utf-8")
    return folder


@pytest.fixture
def waits(monkeypatch) -> list[float]:
    """Every time the client waited before it tried again, without waiting."""
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    return waited


@pytest.fixture
def hub(monkeypatch, tmp_path, waits) -> Iterator[Hub]:
    """The server as this process' hub; HF_ENDPOINT is read at import, so it is set behind it."""
    with serve() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(
            "https://huggingface.co", server.url
        )
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.setenv("HF_TOKEN", WRITER)
        close_session()
        yield server
        close_session()


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, to see that nothing was changed."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
