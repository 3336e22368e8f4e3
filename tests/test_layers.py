"""A module imports from lower layers only, and the tree keeps to the limits it set itself."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "xlingual"
RECIPES = ROOT / "recipes"

# A module, or a package with all that is in it, and its layer. Layer 2.5 is the transfer methods,
# which read data and scores; within layers 0 and 3 modules may import each other, without cycles.
LAYERS = {
    "errors": 0,
    "languages": 0,
    "labels": 1,
    "tasks": 1,
    "data": 2,
    "evaluation": 2,
    "transfer": 2.5,
    "modeling": 3,
    "adapters": 3,
    "arguments": 3,
    "method_arguments": 3,
    "training_args": 3,
    "parsing": 3,
    "pretraining_arguments": 3,
    "weights": 3,
    "scoring": 3,
    "trainer": 4,
    "report": 4,
    "pretraining": 4,
    "vocabulary": 4,
    "translation": 4,
    "multi_task": 4.5,
    "inference": 4.5,
    "comparing": 4.6,
    "export": 4.6,
    "hub": 3.5,
    "saving": 3.5,
    "output_bias": 3,
    "feature_extraction": 3,
    "frozen_encoder": 4,
    "language_adapters": 4.5,
    "private": 4.5,
    "source_model": 3,
    "card": 3,
    "card_facts": 3,
    "fit": 3,
    "objective": 3,
    "assembly": 3,
    "callbacks": 3,
    "parameter_groups": 3,
    "features": 3,
    "commands": 5,
    "cli": 5,
}
OPEN_LAYERS = {0, 3}

LIBRARY_FILES = sorted(LIBRARY.rglob("*.py"))
RECIPE_FILES = sorted(RECIPES.glob("*.py"))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imported_modules(path: Path, tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Absolute dotted names of everything imported, also inside functions, with the line."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((f"{module}.{alias.name}", node.lineno) for alias in node.names)


def own_parts(path: Path) -> list[str]:
    """The dotted name below the package: ["data", "loading"]."""
    return list(path.relative_to(LIBRARY).with_suffix("").parts)


def library_imports(path: Path) -> Iterator[tuple[str, int]]:
    """The modules or packages directly below ``xlingual`` that a file imports."""
    for name, line in imported_modules(path, tree_of(path)):
        parts = name.split(".")
        if parts[0] == "xlingual":
            yield (parts[1] if len(parts) > 1 else ""), line


def violations(path: Path) -> list[str]:
    own = own_parts(path)[0]
    found = []
    for target, line in library_imports(path):
        where = f"{relative(path)}:{line} imports xlingual.{target}"
        if target not in LAYERS:
            found.append(f"{where}: the library imports a module, never the top-level package")
        elif target != own and not (
            LAYERS[target] < LAYERS[own] or LAYERS[target] == LAYERS[own] in OPEN_LAYERS
        ):
            found.append(f"{where}: layer {LAYERS[own]} may not see layer {LAYERS[target]}")
    return found


def test_every_module_has_a_layer() -> None:
    names = {own_parts(path)[0] for path in LIBRARY_FILES} - {"__init__", "recipes", "assets"}
    assert names - LAYERS.keys() == set(), "give the new module a layer in this test"
    assert {"errors", "data", "trainer", "cli"} <= names


# The public names of the top-level package are loaded when they are first used.
@pytest.mark.parametrize("path", sorted({*LIBRARY_FILES} - {LIBRARY / "__init__.py"}), ids=relative)
def test_imports_go_down(path: Path) -> None:
    assert violations(path) == []


@pytest.mark.parametrize(
    ("name", "source", "is_allowed"),
    [
        ("labels.py", "from xlingual.errors import ConfigError", True),
        ("labels.py", "from xlingual.data import encode", False),
        ("labels.py", "from xlingual import tasks", False),  # one layer, and not one package
        ("data/x.py", "from xlingual.data.y import z", True),
        ("data/x.py", "from . import y\nfrom .y import z\nfrom ..tasks import Task", True),
        ("data/x.py", "from .. import evaluation", False),
        ("data/x.py", "def f():\n    from xlingual.trainer import TransferTrainer", False),
        ("data/x.py", "if TYPE_CHECKING:\n    import xlingual.modeling", False),
        ("transfer/x.py", "from xlingual.evaluation import LabelPredictions", True),
        ("evaluation/x.py", "from xlingual.transfer import better_on", False),
        ("adapters.py", "from xlingual.modeling import freeze", True),
        ("report.py", "from xlingual.trainer import TransferTrainer", False),
        ("trainer.py", "from xlingual import LabelSpace", False),
    ],
)
def test_the_rule_itself(
    monkeypatch: pytest.MonkeyPatch, name: str, source: str, is_allowed: bool
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "tree_of", lambda path: ast.parse(source))
    assert (violations(LIBRARY / name) == []) is is_allowed


def test_no_cycles_where_one_layer_may_import_itself() -> None:
    graph = {
        name: {target for target, _ in library_imports(LIBRARY / f"{name}.py")} - {name}
        for name, layer in LAYERS.items()
        if layer in OPEN_LAYERS
    }
    assert "modeling" in graph["adapters"]
    done: set[str] = set()
    while free := {name for name in graph.keys() - done if not (graph[name] & graph.keys()) - done}:
        done |= free
    assert graph.keys() - done == set(), "these modules import each other in a circle"


@pytest.mark.parametrize("path", RECIPE_FILES, ids=relative)
def test_recipes_use_the_public_api_alone(path: Path) -> None:
    import xlingual

    names = [name for name, _ in imported_modules(path, tree_of(path)) if "xlingual" in name]
    # Building an encoder is a room of its own; its one recipe takes the whole of it.
    public = {f"xlingual.{name}" for name in (*xlingual.__all__, "pretraining")}
    assert names
    assert [name for name in names if name not in public] == []


@pytest.mark.parametrize("path", LIBRARY_FILES, ids=relative)
def test_the_library_does_not_know_the_recipes(path: Path) -> None:
    modules = {name.split(".")[0] for name, _ in imported_modules(path, tree_of(path))}
    assert "recipes" not in modules


def test_there_are_recipes() -> None:
    assert {"zero_shot", "few_shot", "joint"} <= {path.stem for path in RECIPE_FILES}


@pytest.mark.parametrize("path", LIBRARY_FILES, ids=relative)
def test_the_library_never_prints(path: Path) -> None:
    calls = [
        node.lineno
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
    ]
    assert calls == [], "use logging.getLogger(__name__)"


@pytest.mark.parametrize("path", [*LIBRARY_FILES, *RECIPE_FILES], ids=relative)
def test_nothing_runs_code_from_files(path: Path) -> None:
    tree = tree_of(path)
    modules = {name.split(".")[0] for name, _ in imported_modules(path, tree)}
    assert modules & {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"} == set()
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "trust_remote_code":
            assert isinstance(node.value, ast.Constant)
            assert node.value.value is False
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
            flags = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            assert flags.get("weights_only") == "True"


@pytest.mark.parametrize("path", [*LIBRARY_FILES, *RECIPE_FILES], ids=relative)
def test_a_file_holds_one_idea(path: Path) -> None:
    limit = 120 if path.parent == RECIPES else 330
    assert len(path.read_text(encoding="utf-8").splitlines()) <= limit, "split it"
