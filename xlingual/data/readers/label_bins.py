"""Classes of scores: ``--label_bins "negative<=2,positive>=4"``."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from xlingual.errors import ConfigError

__all__ = ["LabelBin", "bin_of", "parse_label_bins"]

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"
_BIN = re.compile(
    rf"(?:(?P<low>{_NUMBER})\s*(?P<above><=?)\s*)?"
    r"(?P<label>[^<>=]+?)\s*"
    rf"(?:(?P<sign><=|>=|<|>|=)\s*(?P<bound>{_NUMBER}))?"
)


@dataclass(frozen=True)
class LabelBin:
    """The scores of one label: an interval that may include its ends.

    Args:
        label: Name of the label.
        low: Lower end.
        high: Upper end.
        has_low: Whether the lower end itself is in the bin.
        has_high: Whether the upper end itself is in the bin.
    """

    label: str
    low: float = -math.inf
    high: float = math.inf
    has_low: bool = False
    has_high: bool = False

    def __contains__(self, score: float) -> bool:
        above = score > self.low or (self.has_low and score == self.low)
        return above and (score < self.high or (self.has_high and score == self.high))

    def overlaps(self, other: LabelBin) -> bool:
        """Whether a score can be in both."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        return low < high or (low == high and low in self and low in other)


def parse_label_bins(spec: str | None) -> tuple[LabelBin, ...]:
    """Parse ``"negative<=2,positive>=4"``; also ``2<neutral<4`` and ``neutral=3``.

    Raises:
        ConfigError: A bin is malformed or empty, or two overlap.
    """
    parts = [part.strip() for part in (spec or "").split(",")]
    bins = tuple(_parse_bin(part) for part in parts if part)
    for first, second in combinations(bins, 2):
        if first.overlaps(second):
            raise ConfigError(
                f"--label_bins {spec!r}: the bins of {first.label!r} and {second.label!r} overlap; "
                "a score can have one label only"
            )
    return bins


def bin_of(score: float, bins: Sequence[LabelBin]) -> str | None:
    """The label of a score; ``None`` if it is in no bin."""
    return next((each.label for each in bins if score in each), None)


def _parse_bin(part: str) -> LabelBin:
    folded = unicodedata.normalize("NFKC", part).replace("≤", "<=").replace("≥", ">=")
    match = _BIN.fullmatch(folded.strip())
    if not match or not (match["low"] or match["sign"]):
        raise _malformed(part)
    low, high, has_low, has_high = -math.inf, math.inf, False, False
    if match["low"]:
        low, has_low = float(match["low"]), match["above"] == "<="
    if sign := match["sign"]:
        bound = float(match["bound"])
        if sign.startswith("<"):
            high, has_high = bound, sign == "<="
        elif match["low"]:
            raise _malformed(part)
        else:
            low, has_low = bound, sign != ">"
            if sign == "=":
                high, has_high = bound, True
    if low > high or (low == high and not (has_low and has_high)):
        raise ConfigError(f"--label_bins: no score is in {part!r}")
    return LabelBin(match["label"].strip(), low, high, has_low, has_high)


def _malformed(part: str) -> ConfigError:
    return ConfigError(
        "--label_bins takes labels with bounds such as 'negative<=2,positive>=4' or "
        f"'2<neutral<4'; got {part!r}"
    )
