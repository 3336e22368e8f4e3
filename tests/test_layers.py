"""A module imports from lower layers only, and the tree keeps to the limits it set itself.

Each rule is one test that names every file which breaks it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "xlingual"
RECIPES = ROOT / "recipes"

# A room and its layer. The longest name that fits counts; rooms of one layer do not see each
# other. The four seams of ``transfer`` are one room: a method may build on one of another seam.
LAYERS = {
    "errors": 0,
    "languages": 1,
    "labels": 1,
    "tasks": 1,
    "writing": 1,
    "config": 2,
    "data": 3,
    "evaluation": 3,
    "models": 4,
    "saving": 5,
    "hub": 5,
    "transfer": 6,
    "training": 7,
    "inference": 7,
    "vocabulary": 7,
    "translation": 7,
    "pretraining": 7,
    "reporting": 8,
    "export": 8,
    "comparing": 8,
    "cli": 9,
}
UNSAFE_MODULES = {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}

LIBRARY_FILES = sorted(LIBRARY.rglob("*.py"))
RECIPE_FILES = sorted(RECIPES.glob("*.py"))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
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


def room_of(path: Path) -> str:
    return path.relative_to(LIBRARY).with_suffix("").parts[0]


def library_imports(path: Path, tree: ast.AST) -> Iterator[tuple[str, int]]:
    """The rooms that a file imports from; "" is the top-level package itself."""
    for name, line in imported_modules(path, tree):
        parts = name.split(".")
        if parts[0] == "xlingual":
            yield (parts[1] if len(parts) > 1 else ""), line


def violations(path: Path, tree: ast.AST) -> list[str]:
    own = room_of(path)
    found = []
    for target, line in library_imports(path, tree):
        where = f"{relative(path)}:{line} imports xlingual.{target}"
        if target not in LAYERS:
            found.append(f"{where}: the library imports a module, never the top-level package")
        elif target != own and LAYERS[target] >= LAYERS[own]:
            found.append(f"{where}: layer {LAYERS[own]} may not see layer {LAYERS[target]}")
    return found


def test_every_room_has_a_layer() -> None:
    rooms = {room_of(path) for path in LIBRARY_FILES} - {"__init__", "recipes", "assets"}
    assert rooms == LAYERS.keys(), "a new room gets a layer here, and a line in CONTRIBUTING.md"


def test_imports_go_down() -> None:
    files = [path for path in LIBRARY_FILES if path != LIBRARY / "__init__.py"]
    assert [line for path in files for line in violations(path, tree_of(path))] == []


@pytest.mark.parametrize(
    ("name", "source", "is_allowed"),
    [
        ("labels.py", "from xlingual.errors import ConfigError", True),
        ("labels.py", "from xlingual.data import encode", False),
        ("labels.py", "from xlingual import tasks", False),  # one layer, and not one room
        ("data/readers/x.py", "from xlingual.data.y import z", True),
        ("data/x.py", "from . import y\nfrom .y import z\nfrom ..tasks import Task", True),
        ("data/x.py", "from .. import evaluation", False),
        ("data/x.py", "def f():\n    from xlingual.training.trainer import T", False),
        ("data/x.py", "if TYPE_CHECKING:\n    import xlingual.models.loading", False),
        ("transfer/loss/x.py", "from xlingual.evaluation import LabelPredictions", True),
        ("transfer/loop/x.py", "from xlingual.transfer.data.ngram_view import ngram_gain", True),
        ("evaluation/x.py", "from xlingual.transfer import better_on", False),
        ("models/x.py", "from xlingual.data import encode", True),
        ("training/x.py", "from xlingual.reporting.run_files import write_report", False),
        ("training/x.py", "from xlingual import LabelSpace", False),
    ],
)
def test_the_rule_itself(name: str, source: str, is_allowed: bool) -> None:
    assert (violations(LIBRARY / name, ast.parse(source)) == []) is is_allowed


def test_recipes_use_the_public_api_alone() -> None:
    import xlingual

    # Building an encoder is a room of its own; its one recipe takes the whole of it.
    public = {f"xlingual.{name}" for name in (*xlingual.__all__, "pretraining")}
    found = {relative(path): used_of_the_package(tree_of(path)) for path in RECIPE_FILES}
    assert {"recipes/zero_shot.py", "recipes/few_shot.py", "recipes/joint.py"} <= found.keys()
    assert [path for path, names in found.items() if not names] == []
    assert [f"{path}: {name}" for path in found for name in found[path] if name not in public] == []


def used_of_the_package(tree: ast.AST) -> list[str]:
    """What a recipe imports from the package, and what it takes from it as ``xl.NAME``."""
    used = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            used += [alias.name for alias in node.names if alias.name.startswith("xlingual.")]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("xlingual"):
            used += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "xl":
            used.append(f"xlingual.{node.attr}")
    return used


def test_the_library_does_not_know_the_recipes() -> None:
    assert [
        f"{relative(path)}:{line}"
        for path in LIBRARY_FILES
        for name, line in imported_modules(path, tree_of(path))
        if name.split(".")[0] == "recipes"
    ] == []


def test_the_library_never_prints() -> None:
    assert [
        f"{relative(path)}:{node.lineno}"
        for path in LIBRARY_FILES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
    ] == [], "use logging.getLogger(__name__)"


def test_nothing_runs_code_from_files() -> None:
    found = []
    for path in [*LIBRARY_FILES, *RECIPE_FILES]:
        tree = tree_of(path)
        found += [
            f"{relative(path)}:{line} imports {name}"
            for name, line in imported_modules(path, tree)
            if name.split(".")[0] in UNSAFE_MODULES
        ]
        found += [
            f"{relative(path)}:{node.lineno} {ast.unparse(node)}"
            for node in ast.walk(tree)
            if runs_foreign_code(node)
        ]
    assert found == []


def runs_foreign_code(node: ast.AST) -> bool:
    """A call with ``trust_remote_code``, or one of ``torch.load`` that may unpickle."""
    if not isinstance(node, ast.Call):
        return False
    flags = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
    if flags.get("trust_remote_code", "False") != "False":
        return True
    return ast.unparse(node.func) == "torch.load" and flags.get("weights_only") != "True"


@pytest.mark.parametrize(
    ("source", "is_unsafe"),
    [
        ("torch.load(path)", True),
        ("torch.load(path, weights_only=True)", False),
        ("AutoModel.from_pretrained(path, trust_remote_code=True)", True),
        ("AutoModel.from_pretrained(path, trust_remote_code=flag)", True),
        ("AutoModel.from_pretrained(path, trust_remote_code=False)", False),
    ],
)
def test_what_counts_as_foreign_code(source: str, is_unsafe: bool) -> None:
    assert runs_foreign_code(ast.parse(source, mode="eval").body) is is_unsafe


def test_a_file_holds_one_idea() -> None:
    def limit(path: Path) -> int:
        return 120 if path.parent == RECIPES else 330

    lengths = {p: len(p.read_text("utf-8").splitlines()) for p in LIBRARY_FILES + RECIPE_FILES}
    too_long = {relative(path): n for path, n in lengths.items() if n > limit(path)}
    assert too_long == {}, "split it"
