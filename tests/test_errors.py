from __future__ import annotations

import inspect

import pytest

from xlingual import errors
from xlingual.errors import (
    ColumnError,
    ConfigError,
    DataError,
    ExportError,
    LabelSpaceError,
    MissingDependencyError,
    ModelLoadError,
    OutputError,
    XlingualError,
    first_line,
    require,
)


@pytest.mark.parametrize(
    ("error", "parents"),
    [
        (ConfigError, (ValueError,)),
        (DataError, (ValueError,)),
        (ColumnError, (DataError, ValueError)),
        (LabelSpaceError, (ValueError,)),
        (ModelLoadError, (OSError,)),
        (OutputError, (OSError,)),
        (ExportError, (RuntimeError,)),
        (MissingDependencyError, (ImportError,)),
    ],
)
def test_each_error_is_ours_and_a_builtin(error: type, parents: tuple[type, ...]) -> None:
    for parent in (XlingualError, *parents):
        with pytest.raises(parent, match="写明白"):
            raise error("写明白")


def test_the_tree_is_complete() -> None:
    defined = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and value.__module__ == errors.__name__
    }
    assert defined | {"first_line", "require"} == set(errors.__all__)
    assert all(issubclass(getattr(errors, name), XlingualError) for name in defined)
    assert all(getattr(errors, name).__doc__ for name in defined)


def test_the_first_line_of_an_error() -> None:
    assert first_line(ValueError("\nno such file\nat line 3")) == "no such file"
    assert first_line(KeyError()) == "KeyError"


def test_require_gives_the_module() -> None:
    assert require("json", extra="export").dumps([]) == "[]"


def test_require_says_what_to_install() -> None:
    with pytest.raises(MissingDependencyError) as caught:
        require("no_such_module_here", extra="export")
    assert 'pip install "xlingual[export]"' in str(caught.value)
    assert "no_such_module_here" in str(caught.value)
    assert isinstance(caught.value.__cause__, ImportError)


def test_require_says_what_a_broken_package_says(tmp_path, monkeypatch) -> None:
    (tmp_path / "broken_backend.py").write_text("import missing_part_of_it\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(MissingDependencyError, match="missing_part_of_it"):
        require("broken_backend", extra="export")
