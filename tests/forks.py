"""Commands of `usher` that start quickly: a process that has loaded its modules forks, and the fork
becomes the command.

Half a second of imports is what most of the commands that tests run would cost, some three hundred
times. A fork runs the same program on the streams, in the folder and with the environment that it
was given, and ends as an interpreter does. Where its standard input is a terminal, it is the one
that the fork is at. What is tested with signals or for its start itself is started by
`tests.processes.USHER`, as people do.

    python tests/forks.py serve SOCKET        load, fork for each caller; ends with its input
    python tests/forks.py run SOCKET ARGUMENT…   be such a caller, and end with its status
"""

from __future__ import annotations

import os
import socket
import sys


def run(path: str, arguments: list[str]) -> int:
    """Let a fork run `usher` here; return its status, negative for a signal. When this process
    ends, so does the fork.
    """
    with socket.socket(socket.AF_UNIX) as wire:
        wire.connect(path)
        folder = os.getcwd()  # noqa: PTH109 - pathlib takes longer to load than all of this
        words = [folder, str(len(arguments)), *arguments, *(f"{name}={text}" for name, text in os.environ.items())]
        raw = "\0".join(words).encode(errors="surrogateescape")
        socket.send_fds(wire, [len(raw).to_bytes(8, "big")], [0, 1, 2])
        wire.sendall(raw)
        return int(wire.recv(16) or b"1")


def serve(path: str) -> None:
    """Load what a command loads, then fork for each caller. Returns in the forks alone, each of
    which is a command then.
    """
    import gc
    import importlib
    import pkgutil
    import select

    import aiohttp  # noqa: F401 - commands load these two as late as they can
    import msal  # noqa: F401

    import cli
    import console.server  # noqa: F401 - as `usher serve` does when it is run

    for module in pkgutil.walk_packages(cli.__path__, "cli."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        print("ready", flush=True)
        while True:
            if 0 in select.select([listener.fileno(), 0], [], [])[0]:
                os._exit(0)
            wire, _ = listener.accept()
            if not os.fork():
                break
            wire.close()
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
    _become(wire)


def _become(wire: socket.socket) -> None:
    """Fork once more: the fork returns as the command, and this process waits for it and tells its
    status.
    """
    import contextlib
    import fcntl
    import select
    import signal
    import termios

    head, streams, _, _ = socket.recv_fds(wire, 8, 3)
    size, raw = int.from_bytes(head, "big"), b""
    while len(raw) < size:
        raw += wire.recv(size - len(raw))
    folder, count, *words = raw.decode(errors="surrogateescape").split("\0")
    done, mine = os.pipe()
    if not (command := os.fork()):
        os.close(done)
        os.set_inheritable(mine, False)
        wire.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        if os.isatty(0):
            os.setsid()
            with contextlib.suppress(PermissionError):  # the one of whoever runs the tests
                fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update({name: text for name, _, text in (word.partition("=") for word in words[int(count) :])})
        sys.argv[1:] = words[: int(count)]
        return
    os.close(mine)
    for stream in (0, 1, 2, *streams):
        os.close(stream)
    if wire.fileno() in select.select([done, wire.fileno()], [], [])[0]:  # the caller has gone
        os.kill(command, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(command, 0)[1])
    wire.sendall(str(status).encode())
    os._exit(0)


if __name__ == "__main__":
    if sys.argv[1] == "run":
        sys.exit(run(sys.argv[2], sys.argv[3:]))
    serve(sys.argv[2])
    import runpy

    runpy.run_module("cli", run_name="__main__", alter_sys=True)
