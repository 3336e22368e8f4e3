"""Alignment of two tokenizers by characters, by examples made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from xlingual.pretraining.alignment import align_tokens

Cut = list[str]


def _spans(text: str, pieces: Cut) -> np.ndarray:
    """Spans of pieces in their order; ``""`` is a special token, with an empty span."""
    spans, at = [], 0
    for piece in pieces:
        start = text.index(piece, at) if piece else 0
        spans.append((start, start + len(piece)))
        at = start + len(piece) if piece else at
    return np.array(spans, dtype=np.int32).reshape(-1, 2)


def _align(*rows: tuple[str, Cut, Cut]) -> list[tuple[list[int], list[int]]]:
    sides = [
        (
            np.concatenate([_spans(row[0], row[side]) for row in rows]),
            np.array([len(row[side]) for row in rows]),
        )
        for side in (1, 2)
    ]
    found = align_tokens([row[0] for row in rows], *sides)
    ends = [np.cumsum(lengths)[:-1] for _, lengths in sides]
    parts = [np.split(numbers, end) for numbers, end in zip(found, ends, strict=True)]
    return [(a.tolist(), b.tolist()) for a, b in zip(*parts, strict=True)]


@pytest.mark.parametrize(
    ("text", "first", "second", "expected"),
    [
        # The same cuts; special tokens are in no chunk.
        ("房间很好", ["", "房间", "很", "好", ""], ["房间", "很", "好"],
         ([-1, 0, 1, 2, -1], [0, 1, 2])),
        # 很干净 is whole tokens of both only as a whole.
        ("房间很干净", ["房间", "很干", "净"], ["房", "间", "很", "干净"],
         ([0, 1, 1], [0, 0, 1, 1])),
        # Spaces at the ends of a token do not count, between words they are nobody's.
        ("a clean room", ["a", " clean", " room"], ["a ", "clean ", "room"],
         ([0, 1, 2], [0, 1, 2])),
        # Mixed scripts, traditional characters.
        ("WiFi很快，check in很慢", ["Wi", "Fi", "很快", "，", "check in", "很慢"],
         ["WiFi", "很", "快", "，", "check", "in", "很慢"],
         ([0, 0, 1, 2, 3, 4], [0, 1, 1, 2, 3, 3, 4])),
        ("下次還會再來", ["下次", "還會", "再來"], ["下", "次還", "會再", "來"],
         ([0, 0, 0], [0, 0, 0, 0])),
        # One side was cut short: what it does not reach has no partner.
        ("房间干净又安静", ["房间", "干净", "又安静"], ["房间", "干"], ([0, 1, -1], [0, 1])),
        ("好", [], ["好"], ([], [-1])),
    ],
)  # fmt: skip
def test_by_hand(text: str, first: Cut, second: Cut, expected: tuple[list[int], list[int]]) -> None:
    assert _align((text, first, second)) == [expected]


def test_a_character_that_became_two_tokens_is_one_chunk() -> None:
    text = "好…"
    spans = np.array([[0, 1], [1, 2], [1, 2], [1, 2]], dtype=np.int32)
    found = align_tokens([text], (spans, np.array([4])), (spans[:2], np.array([2])))
    assert [numbers.tolist() for numbers in found] == [[0, 1, 1, 1], [0, 1]]


def test_numbers_begin_anew_in_every_sentence() -> None:
    room = ("房间好", ["房间", "好"], ["房", "间好"])
    empty = ("", [], [])
    clean = ("干净", ["", "干", "净"], ["干", "净", ""])
    assert _align(room, empty, clean) == [
        ([0, 0], [0, 0]),
        ([], []),
        ([-1, 0, 1], [0, 1, -1]),
    ]


def test_a_token_of_spaces_is_in_no_chunk() -> None:
    assert _align(("好 　书", ["好", " 　", "书"], ["好", "书"])) == [([0, -1, 1], [0, 1])]
