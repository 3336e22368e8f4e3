"""Turn the tags of token pieces into spans of characters, for Chinese without spaces too.

A tokenizer's *words* are of no use here: ``word_ids()`` takes raw Chinese for one word, and the
first piece of a SentencePiece tokenizer is often a bare ``▁`` that covers no character. Only the
characters that a piece covers matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from xlingual.inference.results import Span

__all__ = ["Piece", "align_characters", "decode_spans", "join_tokens", "tag_ranges", "word_ranges"]

# Scripts that are written without spaces: every character may begin or end a word.
_UNSPACED = (
    "\u2e80-\u9fff\uf900-\ufaff\uff66-\uff9d\U00020000-\U0003ffff"  # Chinese, Japanese
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
)
_LETTER = rf"[^\W_{_UNSPACED}]"
# Also AT&T, O'Brien, Coca-Cola, U.S, 3.5: training data with tagged words has one tag for each.
_WORD = re.compile(rf"{_LETTER}+(?:[.'’&_-]{_LETTER}+)*")
_TAG = re.compile(r"([BIESLU])-(.+)")
_SPACE = re.compile(rf"[{_UNSPACED}，。！？；：、（）《》“”]")
# The characters that text cleaning replaces; it keeps or removes all others.
_CLEANED = dict.fromkeys("\r\u2028\u2029", "\n") | dict.fromkeys(
    "\x0b\x0c\x1c\x1d\x1e\x1f\x85", " "
)


class Piece(NamedTuple):
    """A token piece: the characters it covers, and the probabilities of its tags (labels,)."""

    start: int
    end: int
    probs: np.ndarray


class Tagged(NamedTuple):
    """A range of characters (or one token) with the tag it was given."""

    start: int
    end: int
    tag: str
    probability: float


def align_characters(text: str, cleaned: str) -> Sequence[int]:
    """Map every character of a cleaned text to its position in the original text.

    Cleaning only removes characters or replaces them one by one, so one pass from left to right
    finds the positions.
    """
    offset = text.find(cleaned)
    if offset >= 0:  # only the ends were removed
        return range(offset, offset + len(cleaned))
    places, place = [], 0
    for character in cleaned:
        while text[place] != character and _CLEANED.get(text[place]) != character:
            place += 1
        places.append(place)
        place += 1
    return places


def join_tokens(tokens: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """Join tokens into a text, with a space only between tokens of spaced scripts.

    Returns:
        The text, and the range of characters of each token; an empty token has an empty range.
    """
    text, ranges = "", []
    for token in tokens:
        if text and token and not (_SPACE.match(text[-1]) or _SPACE.match(token[0])):
            text += " "
        ranges.append((len(text), len(text) + len(token)))
        text += token
    return text, ranges


def word_ranges(text: str, pieces: Iterable[Piece]) -> list[list[Piece]]:
    """Group the pieces that get one tag: those of a word of letters and digits, or else one piece.

    Training usually tags only the first piece of a word and ignores the others, so predictions for
    those are meaningless. A Chinese character is a word; the pieces of a character that was split
    into bytes cover the same position and stay together.
    """
    words = _WORD.finditer(text)
    word = next(words, None)
    groups: list[list[Piece]] = []
    end = 0
    for piece in pieces:
        while word is not None and word.end() <= piece.start:
            word = next(words, None)
        is_inside = word is not None and word.start() < piece.start
        if groups and (piece.start < end or (is_inside and end > word.start())):  # type: ignore[union-attr]
            groups[-1].append(piece)
        else:
            groups.append([piece])
        end = max(end, piece.end)
    return groups


def tag_ranges(
    pieces: Sequence[Piece], ranges: Sequence[tuple[int, int]], *, label_names: Sequence[str]
) -> list[Tagged]:
    """Tag every token by the first piece that covers one of its characters.

    A piece that reaches into a second token does not begin another entity there.
    """
    tagged, first = [], 0
    for number, (start, end) in enumerate(ranges):
        while first < len(pieces) and pieces[first].end <= start:
            first += 1
        if start == end or first == len(pieces) or pieces[first].start >= end:
            tagged.append(Tagged(number, number + 1, "O", 1.0))
            continue
        best = int(pieces[first].probs.argmax())
        tag = label_names[best]
        if pieces[first].start < start and tag.startswith("B-"):
            tag = f"I-{tag[2:]}"
        tagged.append(Tagged(number, number + 1, tag, float(pieces[first].probs[best])))
    return tagged


def tag_words(text: str, pieces: Sequence[Piece], *, label_names: Sequence[str]) -> list[Tagged]:
    """Tag every word of a text, see :func:`word_ranges`."""
    tagged = []
    for group in word_ranges(text, pieces):
        best = int(group[0].probs.argmax())
        end = max(piece.end for piece in group)
        probability = float(group[0].probs[best])
        tagged.append(Tagged(group[0].start, end, label_names[best], probability))
    return tagged


def decode_spans(tagged: Iterable[Tagged], *, label_names: Sequence[str]) -> list[Span]:
    """Entities from IOB2 tags (and BIOES or BILOU), read as the CoNLL scorer reads them.

    ``I-X`` after anything but ``X`` begins an entity. Equal neighbouring labels without ``B-`` or
    ``I-`` are joined if ``O`` is a label; if it is not (parts of speech), each word is a span.

    Returns:
        Spans without their text.
    """
    joins_plain = "O" in label_names
    open_label = ""
    spans: list[list[Tagged]] = []
    for item in tagged:
        match = _TAG.fullmatch(item.tag)
        prefix, label = match.groups() if match else ("", item.tag)
        if item.tag == "O":
            open_label = ""
            continue
        continues = label == open_label and prefix not in ("B", "S", "U")
        if continues and (prefix or joins_plain):
            spans[-1].append(item._replace(tag=label))
        else:
            spans.append([item._replace(tag=label)])
        open_label = "" if prefix in ("E", "L", "S", "U") else label
    return [
        Span(
            start=span[0].start,
            end=span[-1].end,
            text="",
            label=span[0].tag,
            probability=sum(item.probability for item in span) / len(span),
        )
        for span in spans
    ]
