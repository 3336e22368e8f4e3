"""Run a program: one line per error, exit code 2, and all processes end together."""

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
    """Run with logs on stderr and errors in one line, and end together with other processes."""
    set_up_logging()
    exit_on_error(action)
    _leave_process_group()


def exit_on_error(action: Callable[[], object]) -> None:
    """Report a user's error in one line and exit with code 2."""
    try:
        action()
    except XlingualError as error:
        if os.environ.get("LOCAL_RANK", "0") != "0":
            time.sleep(5)  # most errors occur in every process: the first one reports it
        sys.stderr.write(f"\nerror: {' '.join(str(error).split())}\n")
        sys.exit(USER_ERROR)
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted; continue with --resume_from_checkpoint true\n")
        sys.exit(130)


def _leave_process_group() -> None:
    """Wait for the other processes before exiting.

    A gloo thread releases the tensors of a collective when that has finished; if the interpreter
    exits at that moment, the process aborts. This can hit a process that has nothing to write.
    """
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        if distributed.get_backend() == "gloo":  # this barrier does not use those threads
            distributed.monitored_barrier(timeout=timedelta(days=1))
        distributed.destroy_process_group()
