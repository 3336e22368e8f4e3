"""Versions, hardware and settings, for a bug report."""

from __future__ import annotations

import os
import platform
from importlib import metadata

__all__ = ["environment", "installed_version"]

_PACKAGES = (
    "torch", "transformers", "accelerate", "peft", "datasets", "evaluate", "tokenizers",
    "safetensors", "scikit-learn", "numpy",
)  # fmt: skip
_VARIABLES = ("HF_HOME", "HF_ENDPOINT", "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_TOKEN")


def installed_version(package: str) -> str:
    """The version of a package, or the words "not installed"."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def environment() -> dict[str, str]:
    """Versions, hardware, and the settings that change behaviour; without secrets."""
    import torch

    from xlingual.config.precision import has_bf16

    found = {"xlingual": installed_version("xlingual"), "python": platform.python_version()}
    found["platform"] = platform.platform()
    found |= {package: installed_version(package) for package in _PACKAGES}
    on_gpu = torch.cuda.is_available()
    found["device"] = torch.cuda.get_device_name() if on_gpu else f"CPU, {os.cpu_count()} cores"
    found["bfloat16"] = "native" if has_bf16(on_gpu) else "not native"
    for variable in _VARIABLES:
        value = os.environ.get(variable)
        found[variable] = "unset" if value is None else "set" if "TOKEN" in variable else value
    return found
