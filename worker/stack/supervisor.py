"""The supervisor of one role of the private stack: it keeps the role's processes running for as
long as commands need them.

It holds the role's lock, so there is one a state folder. It ends a grace after the last command
that needs the role has gone, and not before those that lean on it (`presence.LEANING`): the worker,
then the sandbox, the server last. Where the server is told to end, the others follow. `usher up` is
the worker's supervisor in the foreground, which stays until it is told to end.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Literal, TypeAlias

from worker.stack.folders import Folders, StackError
from worker.stack.keeper import Keeper
from worker.stack.lockfile import FileLock, find_pid_space, is_locked, read_note
from worker.stack.presence import IF_UNUSED, LEANING, VERSION, Mode, Role, find_users, find_users_of, read_supervision
from worker.stack.processes import ChildSpec, Nursery

logger = logging.getLogger("usher.stack")

GRACE_S = 10.0
"""From the last command's end to the stack's: long enough for the next command of a person at work.
USHER_GRACE_S changes it."""

WORKER_PATIENCE_S = 40.0
"""A worker's warm shutdown: above one Graph request with its retries (`[graph].timeout_s`)."""

LEANING_END_WITHIN_S = WORKER_PATIENCE_S + 10.0
"""How long a role waits for those that lean on it."""

_LOOK_EVERY_S = 0.5
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

Describe: TypeAlias = Callable[[], Mapping[str, Mapping[str, Any]]]
"""What `Keeper.describe` says of each process, by its name."""

Company: TypeAlias = Callable[[Describe], Awaitable[None]]
"""Something that goes on beside the processes, until it ends or they are to end."""


def build_program_spec(folders: Folders, name: str, argv: Sequence[str], env: Mapping[str, str]) -> ChildSpec:
    """Say how a worker, beat or Flower is started."""
    return ChildSpec(
        name=name,
        argv=tuple(argv),
        env=env,
        cwd=folders.state,
        lock=folders.lock(name),
        log=folders.log(name),
        patience_s=WORKER_PATIENCE_S if name == "worker" else 10.0,
    )


class Supervisor:
    """Runs a role's processes, each under its name; `lock` is the caller's to close afterwards.
    With `company` it is in the foreground."""

    def __init__(
        self,
        folders: Folders,
        lock: FileLock,
        role: Role,
        specs: Mapping[str, ChildSpec],
        env: Mapping[str, str],
        company: Company | None = None,
    ) -> None:
        self._folders = folders
        self._lock = lock
        self._role: Role = role
        self._specs = specs
        self._company = company
        self._mode: Mode = "background" if company is None else "foreground"
        self._grace_s = _read_grace_s(env)
        self._start = (read_note(lock.path) or {}).get("start", {})
        self._state: Literal["open", "closing", "ending"] = "open"
        self._keepers: dict[str, Keeper] = {}
        self._changed = asyncio.Event()
        self._ending = asyncio.Event()
        self._asked = False
        """Whether a command would have us end if nobody uses our worker."""
        self._hurry = asyncio.Event()
        """Once set, nobody's warm shutdown is waited for any more."""

    async def run(self) -> None:
        """Return when nobody needs the role any more, or a signal ended it.

        Raises `StackError` when a process ended twice before it was of use (in the background: the
        next command tries anew).
        """
        loop = asyncio.get_running_loop()
        umask = os.umask(0o077)
        is_nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        signs = [sign for sign in _SIGNALS if sign != signal.SIGHUP or not is_nohup]
        for sign in signs:
            loop.add_signal_handler(sign, self._on_signal)
        loop.add_signal_handler(IF_UNUSED, self._on_request)
        nursery = Nursery()
        company: asyncio.Future[None] | None = None
        try:
            self._keepers = {name: Keeper(nursery, spec, self._on_change) for name, spec in self._specs.items()}
            self._say("open")
            if self._company is not None:
                company = asyncio.ensure_future(self._company(self._describe))
            await self._govern()
        finally:
            self._say("ending")
            if company is not None:
                company.cancel()
                await asyncio.wait({company})
            await self._wait_for_leaning()
            await self._stop_all()
            for sign in (*signs, IF_UNUSED):
                loop.remove_signal_handler(sign)
            nursery.close()
            os.umask(umask)

    async def _govern(self) -> None:
        """Return when the role is to end."""
        needed_at = time.monotonic()
        while not self._ending.is_set():
            self._changed.clear()
            if self._mode == "background":
                for keeper in self._keepers.values():
                    if keeper.failing and not keeper.was_up:
                        raise StackError(keeper.trouble)
                if self._is_needed():
                    needed_at = time.monotonic()
                elif time.monotonic() - needed_at >= self._grace_s and self._may_end(self._is_needed):
                    return
                if self._asked and self._may_end(self._is_used):
                    return
                self._asked = False
            if self._is_server_ending():
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(min(_LOOK_EVERY_S, max(self._grace_s / 4, 0.05))):
                    await self._changed.wait()

    def _is_needed(self) -> bool:
        return any(self._role in user.needs for user in find_users(self._folders))

    def _leaning(self) -> bool:
        return any(is_locked(self._folders.supervisor_lock_of(role)) for role in LEANING[self._role])

    def _is_used(self) -> bool:
        return bool(find_users_of(self._folders, os.getpid(), self._start))

    def _may_end(self, is_wanted: Callable[[], bool]) -> bool:
        """Say that we mean to go, then look: whoever comes from now on sees it, whoever came before
        is seen (`presence`)."""
        if self._leaning():
            return False
        self._say("closing")
        if is_wanted() or self._leaning():
            self._say("open")
            return False
        return True

    def _is_server_ending(self) -> bool:
        if self._role == "server":
            return False
        server = read_supervision(self._folders, "server")
        return server is not None and server.state == "ending"

    async def _wait_for_leaning(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LEANING_END_WITHIN_S):
                # Another process's lock has no event
                while self._leaning() and not self._hurry.is_set():  # noqa: ASYNC110
                    await asyncio.sleep(0.02)

    async def _stop_all(self) -> None:
        # A clean-up that fails must not keep the others from running.
        stops = (keeper.stop(self._hurry) for keeper in self._keepers.values())
        for outcome in await asyncio.gather(*stops, return_exceptions=True):
            if isinstance(outcome, BaseException):
                logger.error("a child did not end in order: %r", outcome)

    def _describe(self) -> dict[str, dict[str, Any]]:
        return {name: keeper.describe() for name, keeper in self._keepers.items()}

    def _on_change(self) -> None:
        self._say(self._state)
        self._changed.set()

    def _say(self, state: Literal["open", "closing", "ending"]) -> None:
        """Write in the lock what `presence.Supervision` reads."""
        self._state = state
        who = {"v": VERSION, "pid": os.getpid(), "place": find_pid_space(), "mode": self._mode, "state": state}
        told = {"socket": str(self._folders.server_socket), "start": self._start, "children": self._describe()}
        try:
            self._lock.write_note(who | told)
        except OSError as error:  # a full disk must not keep a process from being started again
            logger.error("%s cannot be written (%s)", self._lock.path, error.strerror)

    def _on_request(self) -> None:
        self._asked = True
        self._changed.set()

    def _on_signal(self) -> None:
        if self._ending.is_set():
            self._hurry.set()  # asked twice: no more waiting for the worker's batch
        self._say("ending")
        self._ending.set()
        self._changed.set()


def _read_grace_s(env: Mapping[str, str]) -> float:
    try:
        return max(0.0, float(env.get("USHER_GRACE_S", "")))
    except ValueError:
        return GRACE_S
