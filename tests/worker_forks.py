"""Workers that start quickly: a process that has loaded Celery and usher forks, and the fork is a
worker.

A second of imports is what each of the hundred workers that tests start would cost. A fork runs the
same program (`python -m celery`), in a session of its own, with the output, the folder and the
environment that it was given. It is the test's own child, as a process that was started is, so that
signals, its end and its status are the worker's (Linux: `PR_SET_CHILD_SUBREAPER`; elsewhere there
are no forks). What is tested for its start itself is started by `tests.processes.CELERY`.

    python tests/worker_forks.py SOCKET       load, fork for each caller; ends with its input
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

_SUBREAPER = 36  # <linux/prctl.h>


class Fork(subprocess.Popen[bytes]):
    """A fork as `subprocess` sees a child that it has started."""

    def __init__(self, pid: int, argv: Sequence[str]) -> None:
        self.args, self.pid, self.returncode = argv, pid, None
        self.stdin = self.stdout = self.stderr = None
        self._child_created, self._waitpid_lock = True, threading.Lock()
        self._communication_started, self._sigint_wait_secs = False, 0.25


def can_fork(env: Mapping[str, str]) -> bool:
    """Whether a worker of this environment may be a fork: what an interpreter or a loader reads as
    it starts is as it is here.
    """
    mine = {name: value for name, value in os.environ.items() if name.startswith(("LD_", "TZ"))}
    return sys.platform == "linux" and mine == {n: v for n, v in env.items() if n.startswith(("LD_", "TZ"))}


def start_fork(server: str, arguments: Sequence[str], output: IO[bytes], env: Mapping[str, str], cwd: Path) -> Fork:
    """Start `celery` with these arguments; `server` is the socket of whoever forks."""
    told = json.dumps([[*arguments], dict(env), str(cwd)]).encode()
    with socket.socket(socket.AF_UNIX) as wire, _reaping():
        wire.connect(server)
        socket.send_fds(wire, [len(told).to_bytes(8, "big")], [output.fileno()])
        wire.sendall(told)
        pid = int(wire.recv(16))
    return Fork(pid, ("celery", *arguments))


@contextmanager
def _reaping() -> Any:
    """Within the block a process whose parent ends becomes ours."""
    prctl = ctypes.CDLL(None).prctl
    prctl(_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(_SUBREAPER, 0, 0, 0, 0)


def _serve(path: str) -> None:
    """Load what a worker loads, then fork for each caller. Returns in the forks alone, each of
    which is a worker then.
    """
    import gc
    import importlib
    import select

    for name in (
        "celery.bin.celery",
        "celery.apps.worker",
        "celery.worker.consumer.consumer",
        "celery.apps.beat",
    ):
        importlib.import_module(name)
    from worker.app import app

    for name in (
        *app._preconf["include"],
        "worker.process.runtime",
        "worker.process.consumer",
        "worker.process.beat",
        "msal",
        "structlog",
    ):
        importlib.import_module(name)
    assert not app.configured, "a worker would have the settings of the process that it was forked from"
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        print("ready", flush=True)
        while True:
            if 0 in select.select([listener.fileno(), 0], [], [])[0]:
                os._exit(0)
            wire, _ = listener.accept()
            with wire:
                told, output = _receive(wire)
                pid = _hand_on()
                if not pid:
                    break
                os.close(output)
                wire.sendall(str(pid).encode())
    _become(told, output)


def _receive(wire: socket.socket) -> tuple[Any, int]:
    head, (output,), _, _ = socket.recv_fds(wire, 8, 1)
    size, raw = int.from_bytes(head, "big"), b""
    while len(raw) < size:
        raw += wire.recv(size - len(raw))
    return json.loads(raw), output


def _hand_on() -> int:
    """Fork by a process that ends at once, so that the fork is its next living reaper's; 0 in the
    fork.
    """
    theirs, ours = os.pipe()
    between = os.fork()
    if not between:
        pid = os.fork()
        if not pid:
            os.close(theirs)
            os.close(ours)
            return 0
        os.write(ours, str(pid).encode())
        os._exit(0)
    os.waitpid(between, 0)
    pid = int(os.read(theirs, 16))
    os.close(theirs)
    os.close(ours)
    return pid


def _become(told: Any, output: int) -> None:
    arguments, environment, folder = told
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, stream in enumerate((nothing, output, output)):
        os.dup2(stream, number)
    os.close(nothing)
    os.close(output)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv[1:] = arguments


if __name__ == "__main__":
    _serve(sys.argv[1])
    import runpy

    runpy.run_module("celery", run_name="__main__", alter_sys=True)
