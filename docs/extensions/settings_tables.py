"""The directive ``{settings} DataArguments``: a table of a dataclass's flags, defaults and help.

The tables are read from the dataclasses when the pages are built, so they cannot fall behind.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import xlingual

RECIPES = Path(__file__).parents[2] / "recipes"


class SettingsDirective(SphinxDirective):
    """A sentence on the dataclass, the recipes that read it, and a row for each flag."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Build the table by the parser of the page itself."""
        name = self.arguments[0]
        return self.parse_text_to_nodes("\n".join(settings_lines(getattr(xlingual, name))))


def settings_lines(kind: type) -> list[str]:
    """The Markdown of one dataclass."""
    summary = (inspect.getdoc(kind) or "").split("\n")[0]
    recipes = ", ".join(f"`{name}`" for name in recipes_reading(kind.__name__))
    lines = [
        summary,
        "",
        f"Read by: {recipes}.",
        "",
        "| flag | type | default | |",
        "|---|---|---|---|",
    ]
    hints = get_type_hints(kind)
    for each in own_fields(kind):
        shown = type_name(hints[each.name])
        text = each.metadata["help"].replace("|", r"\|")
        lines.append(f"| `--{each.name}` | {shown} | {default_of(each)} | {text} |")
    return lines


def own_fields(kind: type) -> list[dataclasses.Field[Any]]:
    """The fields that xlingual defines, not those of transformers' ``TrainingArguments``."""
    names = {
        name
        for parent in kind.__mro__
        if parent.__module__.startswith("xlingual")
        for name in inspect.get_annotations(parent)
    }
    fields = [each for each in dataclasses.fields(kind) if each.name in names]
    return [each for each in fields if "help" in each.metadata]


def type_name(hint: Any) -> str:
    """``str | None`` as ``str``: that a flag may be left out is seen from its default."""
    name = getattr(hint, "__name__", str(hint)) if isinstance(hint, type) else str(hint)
    return "`" + name.replace(" | None", "").replace("typing.", "") + "`"


def default_of(each: dataclasses.Field[Any]) -> str:
    """A default as it would be typed; nothing where the flag has none."""
    value = each.default
    if each.default_factory is not dataclasses.MISSING:
        value = each.default_factory()
    if value is None or value is dataclasses.MISSING or value == "":
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, list):
        return f"`{' '.join(map(str, value))}`"
    return f"`{value}`"


@cache
def recipes_reading(name: str) -> list[str]:
    """The recipes whose ``main`` takes a dataclass."""
    return [path.stem for path in sorted(RECIPES.glob("*.py")) if name in declared_names(path)]


def declared_names(recipe: Path) -> set[str]:
    """The names of the dataclasses that annotate the parameters of a recipe's ``main``."""
    body = ast.parse(recipe.read_text("utf-8")).body
    mains = [node for node in body if isinstance(node, ast.FunctionDef) and node.name == "main"]
    annotations = [each.annotation for main in mains for each in main.args.args]
    return {ast.unparse(each).rpartition(".")[2] for each in annotations if each is not None}


class PresetsDirective(SphinxDirective):
    """What ``TransferArguments`` chooses by the size of the encoder."""

    def run(self) -> list[nodes.Node]:
        """One row for each preset."""
        from xlingual.config.presets import preset_for

        lines = [
            "| preset | parameters without embeddings | learning rate | with an adapter | head "
            "| embeddings | adapter |",
            "|---|---|---|---|---|---|---|",
        ]
        for label, size in (
            ("up to 10 million", 10_000_000),
            ("up to 50 million", 50_000_000),
            ("up to 200 million", 200_000_000),
            ("up to 350 million", 350_000_000),
            ("more", 10**12),
        ):
            preset = preset_for(size)
            head = preset.head_learning_rate or "as the rest"
            table = "frozen" if preset.freeze_embeddings else "trained"
            lines.append(
                f"| {preset.name} | {label} | {preset.learning_rate:g} | "
                f"{preset.adapter_learning_rate:g} | {head} | {table} | {preset.adapter} |"
            )
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("settings", SettingsDirective)
    app.add_directive("presets", PresetsDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
