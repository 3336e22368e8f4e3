"""Run several programs one after the other in one process group: ``playlist.py CASES.json``.

The file holds the command of each case by its name; its first word is a recipe, or a module of
the tests with a ``main``. Each process leaves ``NAME.RANK.json`` beside the file: the exit code and
what was printed. To start two processes costs more than what most cases do in them.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from accelerate.state import AcceleratorState, PartialState

from xlingual import cli
from xlingual.cli import exits


def run(target: str, *arguments: str) -> int:
    """Run a recipe or a module's ``main``; returns the exit code."""
    AcceleratorState._reset_state(reset_partial_state=True)  # as in processes of its own
    try:
        if "." in target:
            importlib.import_module(target).main(*arguments)
        else:
            cli.main([target, *arguments])
    except SystemExit as stopped:
        return stopped.code
    except Exception:
        traceback.print_exc()
        return 1
    return 0


def main(path: str) -> None:
    cases = json.loads(Path(path).read_text(encoding="utf-8"))
    leave, exits._leave_process_group = exits._leave_process_group, lambda: None
    for name, command in cases.items():
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = run(*command)
        said = {"code": code, "out": out.getvalue(), "err": err.getvalue()}
        record = Path(path).with_name(f"{name}.{os.environ['RANK']}.json")
        record.write_text(json.dumps(said), encoding="utf-8")
        if code == 1:
            sys.exit(f"{name}: {err.getvalue()}")  # the other process may wait for this one
        PartialState().wait_for_everyone()
    leave()


if __name__ == "__main__":
    main(*sys.argv[1:])
