"""A Python that starts with its imports done: programs are forked from a process that has them.

A new interpreter spends five seconds on torch and transformers before a recipe of two steps begins.
``warm_python()`` is an executable that takes what ``python`` takes (a script, ``-m`` or ``-c``, and
arguments), with the same files, folder, environment, exit code and signals. Programs that it runs
start others by it too. What imports are light, or how an interpreter starts, is not for it to show.
"""

from __future__ import annotations

import array
import atexit
import gc
import json
import os
import runpy
import select
import signal
import socket
import sys
import traceback

_NUM_FILES = 3  # stdin, stdout and stderr
_PRELOADED = (
    "accelerate.commands.launch", "datasets", "peft", "torch.distributed.run", "xlingual.cli",
    "xlingual.comparing", "xlingual.inference", "xlingual.reporting.run_files",
    "xlingual.training.trainer",
)  # fmt: skip


def client(address: str, arguments: list[str]) -> None:
    """Have a program run by the server; ends as the program does, and the program with it."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        request = [arguments, os.getcwd(), dict(os.environ)]
        message = json.dumps(request).encode() + b"\n"
        files = array.array("i", range(_NUM_FILES))
        sent = connection.sendmsg(
            [message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files.tobytes())]
        )
        connection.sendall(message[sent:])
        status = int(connection.makefile().read())
    if os.WIFSIGNALED(status):
        os.kill(os.getpid(), os.WTERMSIG(status))
    sys.exit(os.waitstatus_to_exitcode(status))


def serve(address: str) -> list[str]:
    """Fork for every request until stdin ends; returns only in the process of a program."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that attend
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            ready, _, _ = select.select([listener, sys.stdin], [], [])
            if sys.stdin in ready:
                sys.exit()
            connection, _ = listener.accept()
            if not os.fork():
                break
            connection.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size = array.array("i").itemsize * _NUM_FILES
    message, ancillary, _, _ = connection.recvmsg(1 << 16, socket.CMSG_LEN(size))
    while not message.endswith(b"\n"):
        message += connection.recv(1 << 16)
    child = os.fork()
    if child:
        _attend(connection, child)
    connection.close()
    files = array.array("i", ancillary[0][2])
    return _become(json.loads(message), files.tolist())


def _attend(connection: socket.socket, child: int) -> None:
    """Wait for a program, and end it where whoever asked for it is gone."""
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            connection.sendall(str(status).encode())
            os._exit(0)
        if select.select([connection], [], [], 0.01)[0]:
            os.kill(child, signal.SIGKILL)
            os._exit(0)


def _become(request: list, files: list[int]) -> list[str]:
    """Take over the files, the folder and the environment of the client; returns the arguments."""
    arguments, folder, environment = request
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    return arguments


def run(arguments: list[str]) -> None:
    """What ``python`` does with its arguments; ends the process.

    At once, after what is registered for the end: to take down all modules, page by page of memory
    that is shared with the server, takes longer than most programs.
    """
    code = 0
    try:
        _run(arguments)
    except SystemExit as stopped:
        code = stopped.code if isinstance(stopped.code, int) else int(stopped.code is not None)
        if isinstance(stopped.code, str):
            sys.stderr.write(f"{stopped.code}\n")
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _run(arguments: list[str]) -> None:
    while arguments[0].startswith(("-u", "-X")):  # too late for these
        arguments = arguments[1:]
    first = arguments[0]
    if first == "-c":
        sys.argv, sys.path[0] = ["-c", *arguments[2:]], ""
        exec(compile(arguments[1], "<string>", "exec"), {"__name__": "__main__"})
    elif first == "-m":
        sys.argv, sys.path[0] = arguments[1:], os.getcwd()
        sys.modules.pop(arguments[1], None)  # it becomes __main__
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[0] = arguments, os.path.dirname(os.path.abspath(first))
        runpy.run_path(first, run_name="__main__")


if __name__ == "__main__":
    role, executable, *rest = sys.argv[1:]
    if role == "run":
        client(f"{executable}.socket", rest)
    else:
        for _name in _PRELOADED:
            __import__(_name)
        gc.freeze()
        asked = serve(f"{executable}.socket")
        sys.executable = executable
        run(asked)
