"""bfloat16: native or emulated."""

from __future__ import annotations

import pytest
import torch

from xlingual.config.precision import has_bf16


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({}, False),
        ({"avx2": True}, False),
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
    ],
)
def test_native_bfloat16(monkeypatch, capabilities: dict[str, bool], expected: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert has_bf16(on_gpu=False) is expected
