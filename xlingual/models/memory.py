"""Peak memory of a run."""

from __future__ import annotations

import sys

import torch

__all__ = ["peak_memory_mib"]


def peak_memory_mib() -> float:
    """Peak memory so far in MiB: of the GPU if there is one, else of the process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)  # macOS counts bytes, others KiB
