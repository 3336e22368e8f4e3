"""``xlingual completion``: a script that the shell takes, with recipes, commands and flags."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from xlingual import cli


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_recipes_commands_and_flags(capsys, shell: str) -> None:
    cli.main(["completion", shell])
    script = capsys.readouterr().out
    for word in ("zero_shot", "few_shot", "predict", "--accelerate_config", "--probabilities"):
        assert word in script
    if shutil.which(shell):
        checked = subprocess.run([shell, "-n"], input=script, text=True, capture_output=True)
        assert checked.returncode == 0, checked.stderr


def test_another_shell(capsys) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["completion", "cmd"])
    assert stopped.value.code == 2
    assert "invalid choice: 'cmd'" in capsys.readouterr().err
