"""File locks that the kernel frees when the last process holding them has gone, however it went.

A lock is `flock` on an open file, and it belongs to the open file, not to the process: a child that
inherits the descriptor holds the lock too. So a child's lock, inherited and then closed by its
parent, is held exactly as long as the child or one of its own children lives. That answers "is it
still running?" without trusting a process id that may have been used again.
https://man7.org/linux/man-pages/man2/flock.2.html
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from pathlib import Path
from typing import Any


class FileLock:
    """A lock that this process holds, with a note in the file that says who holds it."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.fd = fd

    def write_note(self, note: dict[str, Any]) -> None:
        """Replace the note. A reader may meet half of it, and then finds no note."""
        text = json.dumps(note).encode()
        os.pwrite(self.fd, text, 0)  # before the file is cut: over an old note there is room on a full disk too
        os.ftruncate(self.fd, len(text))

    def clear_note(self) -> None:
        """Forget what the holder before us wrote."""
        os.ftruncate(self.fd, 0)

    def close(self) -> None:
        """Let go of our end. A process that inherited the descriptor goes on holding the lock."""
        # Closed, not unlocked: LOCK_UN would free it for every process that shares the open file.
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def try_lock(path: Path) -> FileLock | None:
    """Take the lock now, or return None because somebody else has it."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    except BaseException:
        os.close(fd)
        raise
    return FileLock(path, fd)


def adopt_lock(path: Path, fd: int) -> FileLock:
    """Take charge of a lock whose descriptor was inherited from who started this process."""
    os.set_inheritable(fd, False)
    return FileLock(path, fd)


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock. Only for locks that nobody takes by trying once: the look
    itself holds it for an instant.
    """
    if not path.exists():
        return False
    lock = try_lock(path)
    if lock is None:
        return True
    lock.close()
    return False


def read_note(path: Path) -> dict[str, Any] | None:
    """The holder's note; None where there is none, or only half of one."""
    try:
        note = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return note if isinstance(note, dict) else None


def find_pid_space() -> str:
    """Where this process's id means something: the host and, on Linux, the pid namespace (two
    containers may share one folder).
    """
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = ""
    return f"{socket.gethostname()} {namespace}".strip()
