"""Who is here on one state folder: a supervisor for each role, and the commands that use them. All
of it is files under lock.

A lock is the kernel's, which frees it when its holder has gone, however it went; what a holder says
of itself stands in its file. Whoever comes says so first and looks for a supervisor then; a
supervisor that means to go says so first and looks for users then. So neither can miss the other,
and nobody talks to anybody.
"""

from __future__ import annotations

import os
import secrets
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from worker.stack.folders import Folders, StackError
from worker.stack.lockfile import FileLock, is_locked, read_note, try_lock

Role = Literal["server", "sandbox", "worker"]
"""What has a supervisor of its own. `usher up` holds the worker's, and runs beat and Flower beside
it."""

ROLES: tuple[Role, ...] = ("server", "sandbox", "worker")

LEANING: Mapping[Role, tuple[Role, ...]] = {"server": ("sandbox", "worker"), "sandbox": ("worker",), "worker": ()}
"""Who has to end before a role may."""

Mode = Literal["background", "foreground"]
"""How a supervisor runs: while commands need it, or as `usher up` until it is told to end."""

IF_UNUSED = signal.SIGUSR1
"""What asks a worker's supervisor to end unless somebody uses its worker; SIGTERM ends any."""

VERSION = 2
_READ_AGAIN_S = 0.002
_READS = 25


@dataclass(frozen=True, slots=True)
class Supervision:
    """What a running supervisor says of itself. `state` closing: it looks whether it may end."""

    pid: int
    place: str
    mode: Mode
    state: Literal["open", "closing", "ending"]
    socket: str
    """Where the private server listens: another environment may have another place for sockets."""
    start: Mapping[str, Any]
    """What it was started with, as `launch` wrote it."""
    children: Mapping[str, Mapping[str, Any]]
    """Name → what `Keeper.describe` says."""


def read_supervision(folders: Folders, role: Role) -> Supervision | None:
    """Return what the role's supervisor says; None where none runs, or it has not spoken yet.
    Raises `StackError` for another version's."""
    path = folders.supervisor_lock_of(role)
    for _ in range(_READS):
        if not is_locked(path):
            return None
        note = read_note(path)
        if note is not None:
            if note.get("v") != VERSION:
                who = note.get("pid", "unknown")
                raise StackError(f"Another version of usher runs the private stack (process {who}): stop it first.")
            said = {name: value for name, value in note.items() if name != "v"}
            return Supervision(**said) if "pid" in said else None
        time.sleep(_READ_AGAIN_S)  # it was writing
    return None


@dataclass(frozen=True, slots=True)
class StackUser:
    """A command that is here. `uses`: the pid of the worker's supervisor it has found, or 0."""

    name: str
    pid: int
    needs: frozenset[str]
    uses: int


class Presence:
    """This command's own entry among the users, until it is closed or the process has gone."""

    def __init__(self, folders: Folders, needs: Iterable[Role]) -> None:
        self._needs = sorted(needs)
        # Locked and written before it stands where others look.
        made = folders.locks / f"user-{os.getpid()}-{secrets.token_hex(8)}"
        lock = try_lock(made)
        assert lock is not None
        self._lock: FileLock = lock
        self.path = folders.users / made.name
        self.say_uses(0)
        made.rename(self.path)

    def say_uses(self, supervisor: int) -> None:
        """Say whose worker this command uses."""
        self._lock.write_note({"pid": os.getpid(), "needs": self._needs, "uses": supervisor})

    def close(self) -> None:
        """Leave."""
        if self._lock.fd >= 0:
            self.path.unlink(missing_ok=True)
            self._lock.close()


def find_users(folders: Folders, besides: Presence | None = None) -> list[StackUser]:
    """Return the commands that are here, by process id, and forget those that were killed.
    `besides` does not count."""
    found = []
    for path in folders.users.glob("user-*"):
        if not is_locked(path):
            path.unlink(missing_ok=True)
        elif besides is None or path != besides.path:
            # An entry that is just being written is there, and may need anything.
            note = read_note(path) or {}
            needs = frozenset(note.get("needs", ROLES))
            found.append(
                StackUser(path.name, int(note.get("pid", path.name.split("-")[1])), needs, int(note.get("uses", 0)))
            )
    return sorted(found, key=lambda user: user.pid)


def find_users_of(
    folders: Folders, supervisor: int, start: Mapping[str, Any], besides: Presence | None = None
) -> list[int]:
    """Return who uses the worker of that supervisor, or started it and has not found it yet."""
    return [
        user.pid
        for user in find_users(folders, besides)
        if user.uses == supervisor or (user.uses == 0 and user.name == start.get("by"))
    ]
