"""How a program runs and ends: one line for an error, exit code 2, all processes together."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from datetime import timedelta

from xlingual.cli.logs import set_up_logging
from xlingual.errors import XlingualError

__all__ = ["USER_ERROR", "exit_on_error", "run_program"]

USER_ERROR = 2


def run_program(action: Callable[[], object]) -> None:
    """Log to stderr, say an error in one line, and end together with the other processes."""
    set_up_logging()
    exit_on_error(action)
    _leave_process_group()


def exit_on_error(action: Callable[[], object]) -> None:
    """Say an error that the user can mend in one line, and end with exit code 2."""
    try:
        action()
    except XlingualError as error:
        if os.environ.get("LOCAL_RANK", "0") != "0":
            time.sleep(5)  # most errors come in every process: the first one says it, and all end
        sys.stderr.write(f"\nerror: {' '.join(str(error).split())}\n")
        sys.exit(USER_ERROR)
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted; go on with --resume_from_checkpoint true\n")
        sys.exit(130)


def _leave_process_group() -> None:
    """End together with the other processes, some time after the last collective.

    A thread of gloo lets go of the tensors of a collective when that is over; if the interpreter
    ends in this moment, the process aborts. A process that has nothing to write would run into it.
    """
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        if distributed.get_backend() == "gloo":  # this barrier does without those threads
            distributed.monitored_barrier(timeout=timedelta(days=1))
        distributed.destroy_process_group()
