"""The exception hierarchy, and the import of optional dependencies.

Every exception also derives from the built-in one that a caller would expect, so
``except ValueError`` works in code that does not know this package. A message says what was
expected, what was received and what to do.
"""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = [
    "ColumnError",
    "ConfigError",
    "DataError",
    "ExportError",
    "LabelSpaceError",
    "MissingDependencyError",
    "ModelLoadError",
    "OutputError",
    "SaveError",
    "XlingualError",
    "first_line",
    "require",
]


class XlingualError(Exception):
    """Base class for problems that the user can fix. Recipes print them and exit with code 2."""


class ConfigError(XlingualError, ValueError):
    """Arguments or configuration keys that are unknown, malformed or contradictory."""


class DataError(XlingualError, ValueError):
    """A data set that cannot be read, is empty, or does not hold what the run needs."""


class ColumnError(DataError):
    """A column that the task needs is missing, misspelt or of the wrong type."""


class LabelSpaceError(XlingualError, ValueError):
    """Labels that are unknown, or that differ between two sets which must share them."""


class ModelLoadError(XlingualError, OSError):
    """A model folder or hub id that cannot be loaded."""


class OutputError(XlingualError, OSError):
    """An output folder that cannot be written, or that already holds a result."""


class SaveError(OutputError):
    """A saved model that lacks parameters or predicts differently from the model in memory."""


class ExportError(XlingualError, RuntimeError):
    """A model that cannot be converted, or whose converted form gives different outputs."""


class MissingDependencyError(XlingualError, ImportError):
    """An optional package is required but not installed."""


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its type if it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def require(module: str, *, extra: str) -> ModuleType:
    """Import an optional dependency, or say how to install it.

    Args:
        module: Name of the module to import, for example ``"onnxruntime"``.
        extra: The extra of this package that installs it, for example ``"export"``.

    Raises:
        MissingDependencyError: The module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f"this needs the package {module!r}, which cannot be imported ({error}); "
            f'install it with: pip install "xlingual[{extra}]"'
        ) from error
