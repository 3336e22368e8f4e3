"""The directives ``{public} ROOM`` and ``{seam} FOLDER``: autodoc of the public names and seams.

What is public stands in ``xlingual/__init__.pyi`` alone; the pages follow it.
"""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import xlingual

LIBRARY = Path(__file__).parents[2] / "xlingual"


def public_names() -> dict[str, list[str]]:
    """Public names by room, a top-level module or folder, with those of the room's own stub."""
    found: dict[str, list[str]] = {}
    for module, names in stub_imports(LIBRARY / "__init__.pyi").items():
        found.setdefault(module.split(".")[0], []).extend(names)
    for room, names in found.items():
        for more in stub_imports(LIBRARY / room / "__init__.pyi").values():
            names += [name for name in more if name not in names]
    return found


def stub_imports(stub: Path) -> dict[str, list[str]]:
    """The names that a stub takes, by module; none where there is no stub."""
    if not stub.is_file():
        return {}
    return {
        node.module or "": [alias.asname or alias.name for alias in node.names]
        for node in ast.parse(stub.read_text("utf-8")).body
        if isinstance(node, ast.ImportFrom)
    }


def seam_modules(seam: str) -> list[str]:
    """The modules of one seam, by name."""
    paths = sorted((LIBRARY / "transfer" / seam).glob("[!_]*.py"))
    return [f"xlingual.transfer.{seam}.{path.stem}" for path in paths]


class _Autodoc(SphinxDirective):
    required_arguments = 1

    def parse_rest(self, lines: list[str]) -> list[nodes.Node]:
        """reStructuredText, which autodoc writes, also on a Markdown page."""
        from myst_parser.mocking import MockState

        block = "\n".join(lines)
        if isinstance(self.state, MockState):
            block = f"```{{eval-rst}}\n{block}\n```"
        source = StringList(block.split("\n"), self.get_source_info()[0])
        container = nodes.container()
        self.state.nested_parse(source, self.content_offset, container)
        return container.children


class PublicDirective(_Autodoc):
    """The public names of a room."""

    def run(self) -> list[nodes.Node]:
        """One autodoc directive for each name."""
        room = self.arguments[0]
        lines: list[str] = []
        for name in public_names()[room]:
            is_top = name in xlingual.__all__
            value = getattr(xlingual if is_top else import_module(f"xlingual.{room}"), name)
            path = f"{value.__module__}.{value.__qualname__}"
            if path.startswith("xlingual.transfer."):
                continue  # on the page of its seam
            if isinstance(value, type):
                members = [] if name.endswith("Arguments") else ["   :members:"]
                lines += [f".. autoclass:: {path}", *members, ""]
            else:
                lines += [f".. autofunction:: {path}", ""]
        return self.parse_rest(lines)


class SeamDirective(_Autodoc):
    """The modules of a seam with what they export."""

    def run(self) -> list[nodes.Node]:
        """One autodoc directive for each module."""
        lines: list[str] = []
        for module in seam_modules(self.arguments[0]):
            lines += [f".. automodule:: {module}", "   :members:", ""]
        return self.parse_rest(lines)


def shorten_signature(
    app: Sphinx, what: str, name: str, obj: object, options: object, signature: str, returns: str
) -> tuple[str, str] | None:
    """Dataclasses of settings have a hundred fields: the settings page has the tables."""
    return ("()", "") if what == "class" and name.endswith("Arguments") else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("public", PublicDirective)
    app.add_directive("seam", SeamDirective)
    app.connect("autodoc-process-signature", shorten_signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
