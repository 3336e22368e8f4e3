"""A trained folder of three labels, and a predictor on it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.classifiers import (
    save_classifier,
)
from tests.inference.plain import LABELS
from xlingual.inference import Predictor


@pytest.fixture(scope="module")
def folder(encoders, tmp_path_factory) -> Path:
    """Three labels on the tiny ModernBERT."""
    return save_classifier(
        encoders["modernbert"], tmp_path_factory.mktemp("sequence"), labels=LABELS
    )


@pytest.fixture
def copy(folder, tmp_path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


@pytest.fixture(scope="module")
def predictor(folder) -> Predictor:
    return Predictor.from_pretrained(folder, device="cpu")
