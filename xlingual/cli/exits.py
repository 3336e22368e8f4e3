"""How a program ends: errors in one line with exit code 2, and all processes together."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from datetime import timedelta

from xlingual.errors import XlingualError

__all__ = ["USER_ERROR", "exit_on_error", "leave_process_group"]

USER_ERROR = 2


def exit_on_error(action: Callable[[], object]) -> None:
    """Run a program; an error that the user can mend ends it with one line and exit code 2."""
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


def leave_process_group() -> None:
    """End together with the other processes, some time after the last collective.

    A thread of gloo lets go of the tensors of a collective when that is over; if the interpreter
    ends in this moment, the process aborts. A process that has nothing to write would run into it.
    """
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        if distributed.get_backend() == "gloo":  # this barrier does without those threads
            distributed.monitored_barrier(timeout=timedelta(days=1))
        distributed.destroy_process_group()
