"""The ``xlingual`` command: recipes, and commands on trained models."""

from xlingual.cli.command_line import main
from xlingual.cli.environment import environment
from xlingual.cli.exits import USER_ERROR
from xlingual.cli.recipes import run_recipe

__all__ = ["USER_ERROR", "environment", "main", "run_recipe"]
