"""The available recipes and commands, found by their files."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from xlingual.errors import ConfigError

__all__ = ["commands", "load_command", "load_recipe", "recipe_folder", "recipes", "summary"]


def recipe_folder() -> Path:
    """The folder of the recipes: beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).parents[1]
    inside = package / "recipes"
    return inside if inside.is_dir() else package.parent / "recipes"


def recipes() -> dict[str, Path]:
    """The file of each recipe, by name."""
    return {path.stem: path for path in sorted(recipe_folder().glob("*.py"))}


def commands() -> dict[str, Path]:
    """The file of each command, by name."""
    folder = Path(__file__).parent / "commands"
    return {path.stem: path for path in sorted(folder.glob("[!_]*.py"))}


def summary(path: Path) -> str:
    """The first line of a file's docstring, without importing the file."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.split("\n")[0].replace("``", "")


def load_command(name: str) -> ModuleType:
    """The module of a command; ``add_flags`` adds its flags, ``main`` runs it."""
    return importlib.import_module(f"xlingual.cli.commands.{name}")


def load_recipe(path: Path) -> ModuleType:
    """A recipe as a module, so that its ``main`` can be called.

    Raises:
        ConfigError: The file is not a Python module.
    """
    spec = importlib.util.spec_from_file_location(f"xlingual_recipe_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} cannot be loaded as a recipe")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
