"""Pages below ``zh/`` say in their HTML that they are Chinese; fonts and hyphenation follow."""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx


def set_language(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """The ``lang`` of a page."""
    context["language"] = "zh-CN" if page.startswith("zh/") else "en"


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("html-page-context", set_language)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
