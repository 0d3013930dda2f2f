"""Children of the supervisor: each in a session of its own, and gone when the supervisor is gone.
`keeper` keeps them running.

- A session of its own, so that Ctrl-C in a terminal reaches only the command, which then ends
  things in order.
- PDEATHSIG on Linux, so that a killed supervisor leaves nobody behind. Where the kernel has no such
  thing, and in the instant before it acts, the child's lock (inherited, see `lockfile`) tells the
  next supervisor that somebody is still there, and it ends them first.
- Ended children are noticed by SIGCHLD rather than by a waiting thread: with threads about, forking
  is no longer safe.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from worker.stack.folders import StackError
from worker.stack.last_words import open_log
from worker.stack.lockfile import FileLock, find_pid_space, is_locked, read_note, try_lock

logger = logging.getLogger("usher.stack")

_POLL_S = 0.02
_ORPHAN_TERM_S = 10.0
_ORPHAN_KILL_S = 5.0
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
# Loaded here, not in the child: between fork and exec nothing may import or take a lock.
_prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform.startswith("linux") else None


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """How one child is started and stopped. `env` may hold secrets: it is kept out of `repr`."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    cwd: Path
    lock: Path
    log: Path
    """Where its output goes."""
    death_signal: signal.Signals = signal.SIGKILL
    """What the kernel sends when the supervisor dies (Linux)."""
    patience_s: float = 10.0
    """From SIGTERM to SIGKILL."""
    ready: Callable[[Child], Awaitable[None]] | None = None
    """Returns when the child can be used; None means as soon as it runs."""


class Child:
    """A started process. `ended` is its exit status, negative for a signal, once it has one."""

    def __init__(self, spec: ChildSpec, process: subprocess.Popen[bytes], ended: asyncio.Future[int]) -> None:
        self.spec = spec
        self.process = process
        self.ended = ended

    @property
    def pid(self) -> int:
        return self.process.pid

    async def stop(self, hurry: asyncio.Event | None = None) -> int:
        """SIGTERM, then SIGKILL for whoever is left of its group after `patience_s`, or at once
        when `hurry` is set.
        """
        if not self.ended.done():
            self.process.send_signal(signal.SIGTERM)
            waits: set[asyncio.Future[Any]] = {asyncio.ensure_future(asyncio.shield(self.ended))}
            if hurry is not None:
                waits.add(asyncio.ensure_future(hurry.wait()))
            _, unfinished = await asyncio.wait(waits, timeout=self.spec.patience_s, return_when=asyncio.FIRST_COMPLETED)
            for wait in unfinished:
                wait.cancel()
        if not self.ended.done():
            logger.warning("%s did not end in time and is killed", self.spec.name)
        self.kill_group()
        return await asyncio.shield(self.ended)

    def kill_group(self) -> None:
        """SIGKILL whoever of the child's group is left."""
        # While the lock is held a member of the group lives, so the group's number cannot have been
        # given to somebody else.
        if not self.ended.done() or is_locked(self.spec.lock):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)


class Nursery:
    """Starts children and notices their ends. One per event loop, in the main thread (SIGCHLD)."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._children: dict[int, Child] = {}
        self._loop.add_signal_handler(signal.SIGCHLD, self._reap)

    def close(self) -> None:
        """Stop watching. Children should have ended before."""
        self._loop.remove_signal_handler(signal.SIGCHLD)

    async def start(self, spec: ChildSpec) -> Child:
        """Start the child, after ending whoever still holds its lock. Raises `StackError` when it
        cannot be started.
        """
        lock = await take_child_lock(spec)
        try:
            process = _spawn(spec, lock)
        except OSError as error:
            raise StackError(f"{spec.argv[0]} cannot be started: {error.strerror or error}.") from error
        finally:
            lock.close()
        child = Child(spec, process, self._loop.create_future())
        self._children[child.pid] = child
        self._reap()  # it may have ended before it was in the table
        return child

    def _reap(self) -> None:
        for pid, child in list(self._children.items()):
            code = child.process.poll()
            if code is not None:
                del self._children[pid]
                if not child.ended.done():
                    child.ended.set_result(code)


async def take_child_lock(spec: ChildSpec) -> FileLock:
    """Take a child's lock. An orphan of a dead supervisor that still holds it is ended first.

    Raises `StackError` when the holder cannot be ended, or runs on another machine or in another
    container.
    """
    lock = try_lock(spec.lock)
    if lock is not None:
        return lock
    # A supervisor's death reaches its children within milliseconds (Linux), so look again before
    # asking whoever it is to go.
    for sign, patience_s in ((None, 0.2), (signal.SIGTERM, _ORPHAN_TERM_S), (signal.SIGKILL, _ORPHAN_KILL_S)):
        if sign is not None and not _signal_holder(spec.lock, sign):
            continue
        waited_s = 0.0
        while waited_s < patience_s:
            await asyncio.sleep(_POLL_S)
            waited_s += _POLL_S
            lock = try_lock(spec.lock)
            if lock is not None:
                return lock
    holder = read_note(spec.lock) or {}
    who = (
        f"process {holder.get('pid', 'unknown')} on"
        f" {str(holder.get('place', '')).split(' ')[0] or 'an unknown machine'}"
    )
    raise StackError(
        f"Another {spec.name} ({who}) uses {spec.lock.parent.parent} and did not end: stop it, or set USHER_STATE_DIR."
    )


def _signal_holder(path: Path, sign: signal.Signals) -> bool:
    """Signal the group of a lock's holder. False where its number means nothing here."""
    holder = read_note(path) or {}
    pid = holder.get("pid")
    if not isinstance(pid, int) or pid <= 1 or holder.get("place") != find_pid_space():
        return False
    try:
        os.killpg(pid, sign)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _spawn(spec: ChildSpec, lock: FileLock) -> subprocess.Popen[bytes]:
    output = open_log(spec.log)
    try:
        return subprocess.Popen(
            spec.argv,
            env=dict(spec.env),
            cwd=spec.cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=(lock.fd,),
            preexec_fn=_build_preparation(lock.fd, spec.death_signal),
        )
    finally:
        os.close(output)


def _build_preparation(lock_fd: int, death_signal: signal.Signals) -> Callable[[], None]:
    """What the child does between fork and exec: die with us, and sign its lock itself, so that the
    note is never another's.
    """
    parent = os.getpid()
    place = json.dumps(find_pid_space())

    def prepare() -> None:
        if _prctl is not None:
            _prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
            if os.getppid() != parent:  # it died before the line above
                os._exit(1)
        os.ftruncate(lock_fd, 0)
        os.pwrite(lock_fd, b'{"pid": %d, "place": %s}' % (os.getpid(), place.encode()), 0)

    return prepare
