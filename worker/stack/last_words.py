"""What a process of the private stack leaves behind: its log, and how it ended, in words."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

from worker.logs import read_event

LOG_BYTES_MAX = 5_000_000
"""A log above this is put aside (`.1`, one generation) when its process starts again."""

_SERVER_HEAD = re.compile(r"^\d+:\w \S+ \S+ \S+ \S+ [-*#.] ")
"""What Valkey and Redis put before a line: process, role, time, level."""


def open_log(path: Path) -> int:
    """Open a log to append to (0600), a large one put aside. The caller closes the descriptor."""
    try:
        if path.stat().st_size > LOG_BYTES_MAX:
            path.replace(path.with_name(path.name + ".1"))
    except FileNotFoundError:
        pass
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def read_last_line(path: Path) -> str:
    """What the last line with something on it says; '' where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return _SERVER_HEAD.sub("", read_event(next((line.strip() for line in reversed(lines) if line.strip()), "")))


def explain_end(name: str, code: int, log: Path) -> str:
    """Return how a child ended unasked, and what it said last where it ended by itself."""
    if code < 0:
        how = f"was ended by {signal.Signals(-code).name}"
    else:
        said = read_last_line(log)
        how = f"ended with status {code}" + (f": {said.rstrip('.')}" if said else "")
    return f"The {name} {how} (its log: {log})."
