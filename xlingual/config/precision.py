"""Hardware support for bfloat16."""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["has_bf16"]


def has_bf16(on_gpu: bool) -> bool:
    """Whether bfloat16 is native; emulated bfloat16 is far slower than float32."""
    if on_gpu:
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
