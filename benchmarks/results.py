"""Shared by the benchmarks: JSON Lines of finished cells, and a mean with its spread."""

from __future__ import annotations

import json
import math
import statistics
from pathlib import Path


def read_rows(path: Path) -> list[dict]:
    """The rows of a JSON Lines file; none if there is no file."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def spread(values: list[float]) -> str:
    """Mean and standard deviation."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.1f} ± {deviation:.1f}"


def percent(share: float) -> str:
    """A share of the gap; NaN where the ceiling is not above zero-shot."""
    return "no gap" if math.isnan(share) else f"{100 * share:.0f}%"
