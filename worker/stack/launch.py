"""A role of the private stack, found running or started: whoever finds the supervisor's lock free
starts it, and hands the lock on.

There is one worker a state folder. It is the next command's too where the configuration is the
same; where it is not, and nobody uses it any more, it makes way for one with that command's;
otherwise the command is told who runs it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from worker.stack.environment import (
    COMMAND_LINE,
    FILE_TEXT,
    Order,
    build_plain_env,
    build_worker_env,
    find_differences,
    tell_differences,
)
from worker.stack.folders import Folders, StackError
from worker.stack.lockfile import FileLock, find_pid_space, is_locked, read_note, try_lock
from worker.stack.presence import (
    IF_UNUSED,
    VERSION,
    Presence,
    Role,
    Supervision,
    find_users,
    find_users_of,
    read_supervision,
)
from worker.stack.private import Urls

READY_WITHIN_S = 20.0
"""How long a command waits where nothing says why it should wait longer."""

SLOW_WITHIN_S = 60.0
"""How long for a server that reads a large append-only file, or an earlier worker that finishes its
batch (`supervisor`)."""

_POLL_S = 0.02


class Launcher:
    """Finds or starts roles for one command: `order` is what its worker is to run with."""

    def __init__(self, folders: Folders, order: Order, env: Mapping[str, str], presence: Presence) -> None:
        self._folders = folders
        self._order = order
        self._env = env
        self._presence = presence

    def bring_up(self, role: Role, urls: Urls) -> Supervision:
        """Return the role's supervisor once its process is of use. Raises `StackError` where it
        cannot be had, or not in time."""
        path = self._folders.supervisor_lock_of(role)
        began, why = time.monotonic(), ""
        started = False
        while time.monotonic() - began < (SLOW_WITHIN_S if why else READY_WITHIN_S):
            if (lock := try_lock(path)) is not None:
                if started and (note := read_note(path)) is not None:
                    # Nobody but a supervisor that has died could have let go of the lock that we
                    # handed on; one that ended in order has left no note.
                    lock.close()
                    log = self._folders.log("supervisor")
                    raise StackError(note.get("failed") or f"The private stack did not start (its log: {log}).")
                self._start(role, lock, urls)
                started = True
            elif (found := read_supervision(self._folders, role)) is not None:
                if found.children[role]["failing"]:
                    raise StackError(found.children[role]["trouble"])
                if found.state != "open":
                    started, why = False, "The worker of an earlier command is finishing its batch."
                elif role == "worker" and (reason := self._find_reason_to_replace(found)):
                    why = reason
                    ask(found, IF_UNUSED)
                elif found.children[role]["up"] and (role != "worker" or self._is_still_ours(found)):
                    return found
                elif role == "server" and found.children[role]["pid"]:
                    why = "The private server is still reading its data."
            time.sleep(_POLL_S)
        log = self._folders.log("supervisor")
        raise StackError(
            f"The private stack did not become ready in time. {why}"
            if why
            else (
                f"The private stack in {self._folders.state} did not answer within {READY_WITHIN_S:.0f} s (its log:"
                f" {log})."
            )
        )

    def _start(self, role: Role, lock: FileLock, urls: Urls) -> None:
        """Start the supervisor in a session of its own and hand it the lock. The worker's alone has
        the command's environment."""
        order, folders = self._order, self._folders
        if role == "worker":
            self._presence.say_uses(0)
            note_start(lock, order.commands.worker, order, by=self._presence.path.name)
            env = build_worker_env(order, folders, urls)
        else:
            note_start(lock, order.commands.sandbox if role == "sandbox" else ())
            env = build_plain_env(self._env, folders)
        try:
            subprocess.run(
                [sys.executable, "-P", "-m", "worker.stack.background", role, "--lock-fd", str(lock.fd)],
                env=env,
                cwd=folders.state,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=(lock.fd,),
                check=False,
            )
        finally:
            lock.close()

    def _is_still_ours(self, worker: Supervision) -> bool:
        """Say that we use it, then look: whoever asked it to end meanwhile was sooner."""
        self._presence.say_uses(worker.pid)
        found = read_supervision(self._folders, "worker")
        return found is not None and (found.pid, found.state) == (worker.pid, "open")

    def _find_reason_to_replace(self, found: Supervision) -> str:
        """Return why the running worker has to make way for this command's, '' where it need not.

        Raises `StackError` when it would have to and is somebody else's.
        """
        different = find_differences(found.start, self._order)
        users = find_users_of(self._folders, found.pid, found.start, self._presence)
        is_operators = found.mode == "foreground"
        if not (is_operators or users or found.place != find_pid_space()):
            # It would read a changed file by itself, but some seconds late: rows of this command
            # must not go where the old one sent them.
            what = "the changed configuration" if different == [FILE_TEXT] else "this command's settings"
            return f"The worker is started again with {what}." if different else ""
        ignored = {FILE_TEXT, COMMAND_LINE} if is_operators else {FILE_TEXT}
        if names := [name for name in different if name not in ignored]:
            who = (
                f"`usher up` (process {found.pid})"
                if is_operators
                else f"Another usher command (process {[*users, found.pid][0]})"
            )
            instead = "stop it and start it again with these" if is_operators else "wait until it has ended"
            raise StackError(
                f"{who} runs its worker with other settings ({tell_differences(found.start, self._order, names)}): "
                f"use the same here, or {instead}."
            )
        return ""


def note_start(lock: FileLock, argv: Sequence[str], order: Order | None = None, by: str = "") -> None:
    """Write into a supervisor's lock what it is started with, and a worker's order for the next
    command to compare."""
    lock.write_note({"v": VERSION, "start": {"argv": list(argv), "by": by, **(order.describe() if order else {})}})


def take_worker_lock(folders: Folders, within_s: float) -> FileLock:
    """Take the worker's lock for `usher up`, after a worker that nobody uses any more has made way.
    Raises `StackError`."""
    deadline = time.monotonic() + within_s
    path = folders.supervisor_lock_of("worker")
    while (lock := try_lock(path)) is None:
        found = read_supervision(folders, "worker")
        if time.monotonic() > deadline:
            raise StackError(f"Another supervisor holds {path} and does not answer: stop it first.")
        if found is not None and found.mode == "foreground":
            raise StackError(f"`usher up` runs already for {folders.state} (process {found.pid}).")
        if found is not None:
            if users := find_users_of(folders, found.pid, found.start):
                told = ", ".join(map(str, users))
                raise StackError(
                    f"Another usher command uses the private stack (process {told}): wait until it has ended."
                )
            ask(found, IF_UNUSED)
        time.sleep(_POLL_S)
    return lock


def ask(found: Supervision, sign: signal.Signals) -> None:
    """Tell a supervisor to end. In another container or on another machine its number means
    nothing: it is left alone."""
    if found.place == find_pid_space():
        with suppress(ProcessLookupError):
            os.kill(found.pid, sign)


def end_unused(folders: Folders) -> None:
    """End what is left of the stack now, without its grace, unless somebody is there."""
    server = read_supervision(folders, "server")
    if server is None or find_users(folders):
        return
    ask(server, signal.SIGTERM)
    deadline = time.monotonic() + READY_WITHIN_S
    while is_locked(folders.supervisor_lock_of("server")) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
