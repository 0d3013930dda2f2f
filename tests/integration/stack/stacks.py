"""A private stack of a test: real Valkey and real processes; a stand-in takes the worker's place.

The stand-ins append what happens to them to a file. Nothing outlives a test: the end of the block
ends the supervisor and sees its locks free.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from tests.processes import deadline_of
from worker.stack import attachment
from worker.stack.attachment import Attachment, attach, read_status
from worker.stack.environment import Commands
from worker.stack.folders import Folders, find_folders
from worker.stack.lockfile import is_locked, read_note

ROOT = Path(__file__).parents[3]


STAND_IN = """
import json, os, signal, sys, time
def tell(what):
    line = json.dumps({"role": sys.argv[1], "what": what, "pid": os.getpid(), "mark": os.environ.get("USHER_MARK"),
                       "redis": os.environ.get("USHER_REDIS_URL"), "private": os.environ.get("USHER_PRIVATE")})
    with open(EVENTS, "a") as file:
        file.write(line + "\\n")
def ping():
    import socket
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(os.environ["USHER_REDIS_URL"].removeprefix("unix://").split("?")[0])
        s.sendall(b"PING\\r\\n")
        return s.recv(100) == b"+PONG\\r\\n"
def end(number, frame):
    tell("server is there" if ping() else "server is gone")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
tell("started")
while True:
    time.sleep(60)
"""


SANDBOX = """
import argparse, json, os, time
parser = argparse.ArgumentParser()
for name in ("port", "ready-file", "state-dir", "parent-pid"):
    parser.add_argument("--" + name, required=True)
told = parser.parse_args()
names = ("url", "authority", "graph_url", "ca_file", "tenant_id", "client_id", "client_secret_file", "mailbox")
with open(told.ready_file + ".new", "w") as file:
    json.dump({"pid": os.getpid(), **{name: name for name in names}}, file)
os.replace(told.ready_file + ".new", told.ready_file)
assert int(told.parent_pid) == os.getppid()
time.sleep(60)
"""


@dataclass
class Stack:
    """One state folder, the environment that leads to it, and what the stand-ins reported."""

    folder: Path
    env: dict[str, str]
    commands: Commands

    @property
    def folders(self) -> Folders:
        return find_folders(self.env)

    def attach(self, need: attachment.Need = "server", sandbox: bool = False, **env: str) -> Attachment:
        return attach(need, self.env | env, sandbox=sandbox, commands=self.commands)

    def events(self) -> list[dict[str, Any]]:
        path = self.folder / "events"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def told(self, what: str) -> list[dict[str, Any]]:
        return [event for event in self.events() if event["what"] == what]

    def find_pid(self, child: str) -> int | None:
        status = read_status(self.env)
        pid = None if status is None else status.children.get(child, {}).get("pid")
        return pid if isinstance(pid, int) else None

    def pid_of(self, child: str) -> int:
        pid = self.find_pid(child)
        assert pid is not None
        return pid

    def is_gone(self) -> bool:
        locks = [self.folders.supervisor_lock, *self.folders.locks.glob("*.lock")]
        return not any(is_locked(lock) for lock in locks)


def eventually(holds: Callable[[], object], within_s: float = 20.0) -> None:
    """Wait until something holds that no event announces."""
    deadline = deadline_of(within_s)
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold in time"
        time.sleep(0.01)


@contextmanager
def open_stack() -> Iterator[Stack]:
    """A stack of its own with a short grace, ended after the test."""
    folder = Path(tempfile.mkdtemp(prefix="us-", dir="/tmp"))
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    env = kept | {"USHER_STATE_DIR": str(folder / "state"), "USHER_GRACE_S": "0.2"}
    code = STAND_IN.replace("EVENTS", repr(str(folder / "events")))
    argv = (sys.executable, "-c", code)
    commands = Commands(
        worker=(*argv, "worker"),
        beat=(*argv, "beat"),
        flower=(*argv, "flower"),
        sandbox=(sys.executable, "-c", SANDBOX),
    )
    made = Stack(folder, env, commands)
    yield made
    note = read_note(made.folders.supervisor_lock)
    if note and is_locked(made.folders.supervisor_lock):
        os.kill(note["pid"], signal.SIGTERM)
    eventually(made.is_gone)
    shutil.rmtree(folder)


def client_of(url: str) -> redis.Redis:
    """Return a client of the stack's server."""
    return redis.Redis.from_url(url)


@contextmanager
def run_beside(stack: Stack, code: str, *argv: str) -> Iterator[subprocess.Popen[str]]:
    """A command in a process of its own; it prints a line when it is where the test wants it."""
    command = [sys.executable, "-c", code, *argv]
    env = stack.env | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.kill()


def line_of(process: subprocess.Popen[str]) -> str:
    """Wait for the next line that a command prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()
