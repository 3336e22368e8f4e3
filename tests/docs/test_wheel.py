"""A wheel holds all that a run needs: recipes, encoder and corpus, without the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The wheel's files alone in a folder; dependencies are those of this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip"]
    offline = ["--no-deps", "--no-build-isolation", "--disable-pip-version-check", "-q"]
    build = [*pip, "wheel", *offline, "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=240)
    (wheel,) = folder.glob("*.whl")
    target = folder / "site"
    install = [*pip, "install", *offline, "--no-index", "--target", str(target), str(wheel)]
    subprocess.run(install, check=True, capture_output=True, timeout=240)
    return target


def start(installed: Path, *argv: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys, xlingual.cli\n"
        f"assert xlingual.__file__.startswith({str(installed)!r}), xlingual.__file__\n"
        "xlingual.cli.main(sys.argv[1:])"
    )
    environment = {**os.environ, "PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"}
    return subprocess.run(
        [sys.executable, "-c", code, *argv],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_the_command_lists_the_recipes(installed, tmp_path) -> None:
    done = start(installed, "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert all(f"  {path.stem} " in done.stdout for path in (ROOT / "recipes").glob("*.py"))


def test_a_recipe_runs_elsewhere(installed, tmp_path) -> None:
    flags = ("--max_steps=2", "--max_length=16", "--disable_tqdm=true", "--output_dir=run")
    done = start(installed, "zero_shot", *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "run" / "all_results.json").read_text(encoding="utf-8"))
    assert 0 <= results["eval_zh_accuracy"] <= 1
    assert "saved: run" in done.stdout


def test_the_wheel_has_the_licence_and_the_entry_point(installed) -> None:
    (info,) = installed.glob("xlingual-*.dist-info")
    assert (info / "licenses" / "LICENSE").is_file()
    assert "xlingual = xlingual.cli:main" in (info / "entry_points.txt").read_text("utf-8")
