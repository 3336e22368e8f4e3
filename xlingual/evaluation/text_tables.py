"""Tables and sentences as plain text, for terminals and pipes.

They have no boxes, colours or control characters, and a Chinese character counts as the two columns
that it takes on a terminal.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

__all__ = ["TEXT_WIDTH", "fits", "render_table", "wrap_text"]

TEXT_WIDTH = 80
"""Line width of text, in columns of a terminal."""

_UNLIMITED = 10_000


def render_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[int] = (),
    width: int | None = TEXT_WIDTH,
) -> str:
    """Render rows as aligned columns, two spaces apart.

    Args:
        header: The first line.
        rows: Rows with one cell for each cell of the header.
        right: Positions of the right-aligned columns.
        width: Line width; cells that do not fit are folded. None is as wide as needed.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
    for position, name in enumerate(header):
        table.add_column(
            Text(name), justify="right" if position in right else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*map(Text, row))
    return _render(table, width or _UNLIMITED)


def wrap_text(text: str, *, width: int = TEXT_WIDTH) -> str:
    """Wrap a sentence.

    Args:
        text: The sentence.
        width: Line width.
    """
    return _render(Text(text), width)


def fits(text: str) -> bool:
    """Whether no line is wider than ``TEXT_WIDTH``."""
    return all(Text(line).cell_len <= TEXT_WIDTH for line in text.split("\n"))


def _render(content: RenderableType, width: int) -> str:
    output = io.StringIO()
    console = Console(
        file=output, width=width, color_system=None, force_jupyter=False, legacy_windows=False
    )
    console.print(content)
    return "\n".join(line.rstrip() for line in output.getvalue().rstrip("\n").split("\n"))
