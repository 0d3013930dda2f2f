"""What a process of the private stack leaves behind: its log, and the sentence that tells how it ended."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from worker.logs import read_event

LOG_BYTES_MAX = 5_000_000
"""A log above this is put aside (`.1`, one generation) when its process starts again."""


def open_log(path: Path) -> int:
    """Open a log to append to (0600), putting a large one aside. The caller closes the descriptor."""
    try:
        if path.stat().st_size > LOG_BYTES_MAX:
            path.replace(path.with_name(path.name + ".1"))
    except FileNotFoundError:
        pass
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def read_last_line(path: Path, start: int = 0) -> str:
    """What the last line with something on it says that was written after byte `start`; '' where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(start, file.seek(0, os.SEEK_END) - 8192))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return read_event(next((line.strip() for line in reversed(lines) if line.strip()), ""))


def explain_end(name: str, code: int, log: Path | None, said: str) -> str:
    """The sentence for a child that ended unasked: how, and the last thing it said where it ended by itself."""
    if code < 0:
        how = f"was ended by {signal.Signals(-code).name}"
    else:
        how = f"ended with status {code}" + (f": {said.rstrip('.')}" if said else "")
    return f"The {name} {how}{f' (its log: {log})' if log else ''}."
