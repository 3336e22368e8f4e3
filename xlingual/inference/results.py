"""The prediction for one row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Prediction", "Span"]


@dataclass(frozen=True)
class Span:
    """A stretch of text with a label.

    Args:
        start: First character in the text as it was given, or first token if tokens were given.
        end: One past the last, as in ``text[start:end]``.
        text: The text of the span.
        label: The label without ``B-`` or ``I-``.
        probability: Mean probability of its tags.
    """

    start: int
    end: int
    text: str
    label: str
    probability: float


@dataclass(frozen=True)
class Prediction:
    """The prediction for one row; the task decides which fields are filled.

    Args:
        label: The most probable label; multi-label: the most probable of ``labels``; ``None`` for
            tagging, and for a row without a prediction.
        probability: Probability of ``label``, calibrated where the model has a
            ``calibration.json``.
        probabilities: Probability of every label by name; empty for tagging.
        labels: Multi-label: all labels with a probability above one half.
        spans: Tagging: the spans found, in the order of the text.
        tags: Tagging of tokens: one tag per token.
        truncated: Whether the text was truncated (never for tagging, which reads long texts in
            overlapping windows).
        error: Why there is no prediction, such as a row without text.
    """

    label: str | None = None
    probability: float | None = None
    probabilities: Mapping[str, float] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()
    tags: tuple[str, ...] = ()
    truncated: bool = False
    error: str | None = None
