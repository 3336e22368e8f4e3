"""Run a recipe that is killed at a given training step: ``killed.py STEP RECIPE flags...``."""

import os
import runpy
import signal
import sys

from transformers import Trainer

last_step, recipe = int(sys.argv[1]), sys.argv[2]
training_step = Trainer.training_step
steps_begun = 0


def step_or_die(*arguments, **keywords):
    global steps_begun
    steps_begun += 1
    if steps_begun == last_step:
        os.kill(os.getpid(), signal.SIGKILL)  # nothing is flushed, closed or said
    return training_step(*arguments, **keywords)


Trainer.training_step = step_or_die
sys.argv = [recipe, *sys.argv[3:]]
runpy.run_path(recipe, run_name="__main__")
