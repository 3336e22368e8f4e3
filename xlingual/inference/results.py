"""What a model says of one row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Prediction", "Span"]


@dataclass(frozen=True)
class Span:
    """A stretch of text with a label.

    Args:
        start: First character in the text as it was given, or first token where tokens were given.
        end: One behind the last: ``text[start:end]``.
        text: What stands there.
        label: The label without ``B-`` or ``I-``.
        probability: Mean probability of the tags it is made of.
    """

    start: int
    end: int
    text: str
    label: str
    probability: float


@dataclass(frozen=True)
class Prediction:
    """The answer for one row; which fields are filled depends on the task.

    Args:
        label: The most probable label; multi-label: the most probable of ``labels``; ``None`` for
            tagging, and for a row without an answer.
        probability: Probability of ``label``, calibrated where the model has a
            ``calibration.json``.
        probabilities: Probability of every label by name; empty for tagging.
        labels: Multi-label: all labels with a probability above one half.
        spans: Tagging: what was found, in the order of the text.
        tags: Tagging of tokens: one tag a token.
        truncated: Whether the end of the text was too long to be read (never for tagging, which
            reads long texts in overlapping windows).
        error: Why there is no answer: the row has no text, or text of the wrong type.
    """

    label: str | None = None
    probability: float | None = None
    probabilities: Mapping[str, float] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()
    tags: tuple[str, ...] = ()
    truncated: bool = False
    error: str | None = None
