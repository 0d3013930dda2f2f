"""The talk between a command and the supervisor: lines of JSON over a unix socket, one connection a command.

    command     {"v": 1, "ask": "attach", "need": "server" | "worker", "pid": int, "sandbox": bool, "order": {…}}
                {"v": 1, "ask": "status"} · {"v": 1, "ask": "end", "pid": int}
    supervisor  {"wait": seconds, "why": sentence}      any number of times: go on waiting that long
                {"ready": {"socket": path, "pid": int, "mode": "background" | "foreground", "log": path}}
                {"notice": sentence}                    any number of times after "ready"
                {"error": sentence} · {"status": {…}} · {"ending": true}

An open connection is the command's presence: the kernel closes it for a command that was killed.
"""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from typing import Any, Literal

from worker.stack.folders import Folders
from worker.stack.lockfile import read_note

VERSION = 1

Mode = Literal["background", "foreground"]
"""How a stack runs: for as long as commands need it, or as `usher up` until it is told to end."""

MESSAGE_BYTES_MAX = 8_000_000
"""Above any environment that the kernel would hand to a process (2 MB on Linux)."""


def dump_message(message: dict[str, Any]) -> bytes:
    """One message as a line."""
    return json.dumps(message).encode() + b"\n"


def parse_message(line: bytes) -> dict[str, Any]:
    """One line as a message; {} for anything that is none."""
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


class Channel:
    """A command's end of the connection. Blocking, with deadlines on the monotonic clock."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._rest = b""

    def send(self, message: dict[str, Any], deadline: float) -> None:
        """Send one message. Raises OSError when the supervisor has gone."""
        self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
        self._socket.sendall(dump_message(message))

    def receive(self, deadline: float) -> dict[str, Any] | None:
        """The next message; None when the supervisor has gone. Raises TimeoutError."""
        while b"\n" not in self._rest:
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                more = self._socket.recv(65536)
            except ConnectionError:
                return None
            if not more:
                return None
            self._rest += more
        line, self._rest = self._rest.split(b"\n", 1)
        return parse_message(line)

    def close(self) -> None:
        """Leave."""
        self._socket.close()


def open_channel(folders: Folders) -> Channel | None:
    """Connect to the supervisor of these folders; None where nobody listens.

    Where it listens is written in its lock: it may have been started from an environment with another place for sockets.
    """
    note = read_note(folders.supervisor_lock) or {}
    path = note.get("control")
    if not isinstance(path, str):
        return None
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(5.0)
        sock.connect(path)
    except OSError:
        sock.close()
        return None
    return Channel(sock)


def build_note(mode: Mode, control: Path, place: str) -> dict[str, Any]:
    """What a supervisor writes in its lock once it listens."""
    return {"v": VERSION, "pid": os.getpid(), "mode": mode, "control": str(control), "place": place}
