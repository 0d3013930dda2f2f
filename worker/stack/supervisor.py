"""The supervisor of the private stack: one small process that runs the server, and a worker while a command needs one.

It holds the state folder's lock, so there is one a folder, and starts the server first and stops it last. Commands hold a connection
to its control socket while they run (`reception`, `attendance`); the worker ends a grace after the last command that needed it has
gone, and so does everything after the last command of any kind. `usher up` runs the same supervisor in the foreground, with beat and
Flower, until it is told to end; commands then use its worker as they find it.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from worker.stack.attendance import Attendance
from worker.stack.control import Mode, build_note
from worker.stack.crew import Crew, Role
from worker.stack.environment import Order, build_plain_env
from worker.stack.folders import Folders
from worker.stack.lockfile import FileLock, find_pid_space
from worker.stack.private import Urls
from worker.stack.processes import Nursery
from worker.stack.provision import SERVER_UP_S, Provision
from worker.stack.reception import Reception

GRACE_S = 10.0
"""From the last command's end to the stack's: long enough for the next command of a person at work. USHER_GRACE_S changes it."""

START_GRACE_S = 5.0
"""The least time that a new supervisor waits for the command that started it."""

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Foreground:
    """What `usher up` runs besides the server, whether or not a command needs it.

    `on_ready` is called once the server answers. `company` is then run beside the roles, with what `Crew.describe` says of them, and
    cancelled when the stack begins to end.
    """

    order: Order
    roles: tuple[Role, ...]
    on_ready: Callable[[Urls], None]
    company: Company


Company: TypeAlias = Callable[[Urls, Callable[[], Mapping[str, Mapping[str, Any]]]], Awaitable[None]]
"""Something that goes on while the roles run; it ends by itself or is cancelled."""


async def supervise(
    folders: Folders, lock: FileLock, env: Mapping[str, str], foreground: Foreground | None = None
) -> None:
    """The whole life of one state folder's stack; `lock` is the caller's to close afterwards.

    Returns when nobody needs the stack any more, or a signal ended it. Raises `StackError` when there is no server to run, or the
    foreground's does not start.
    """
    await _Supervisor(folders, lock, env, foreground).run()


class _Supervisor:
    def __init__(self, folders: Folders, lock: FileLock, env: Mapping[str, str], foreground: Foreground | None) -> None:
        mode: Mode = "background" if foreground is None else "foreground"
        self._loop = asyncio.get_running_loop()
        self._folders = folders
        self._lock = lock
        self._foreground = foreground
        self._note = build_note(mode, folders.control_socket, find_pid_space())
        self._ending = asyncio.Event()
        self._nursery = Nursery()
        self._attendance = Attendance(self._loop.time, _read_grace_s(env), START_GRACE_S)
        self._crew = Crew(folders, build_plain_env(env, folders), self._nursery, self._attendance)
        self._provision = Provision(folders, mode, self._crew, self._attendance)
        self._reception = Reception(
            folders, mode, self._crew, self._attendance, self._provision, on_end=self._begin_to_end
        )

    async def run(self) -> None:
        umask = os.umask(0o077)
        is_nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        signs = [sign for sign in _SIGNALS if sign != signal.SIGHUP or not is_nohup]
        for sign in signs:
            self._loop.add_signal_handler(sign, self._on_signal)
        try:
            self._folders.sandbox_ready.unlink(missing_ok=True)
            self._crew.start_server()
            await self._reception.open()
            self._lock.write_note(self._note)
            if self._foreground is not None:
                async with self._in_company(self._foreground):
                    await self._ending.wait()
            else:
                await self._govern()
        finally:
            self._begin_to_end()
            self._lock.clear_note()
            await self._reception.close()
            await self._crew.end()
            for sign in signs:
                self._loop.remove_signal_handler(sign)
            self._nursery.close()
            os.umask(umask)

    @asynccontextmanager
    async def _in_company(self, foreground: Foreground) -> AsyncIterator[None]:
        """Run the foreground's own children, and its company beside them until the block ends."""
        urls = await self._start_roles(foreground)
        company = asyncio.ensure_future(foreground.company(urls, self._crew.describe)) if urls is not None else None
        try:
            yield
        finally:
            if company is not None:
                company.cancel()
                await asyncio.wait({company})

    async def _start_roles(self, foreground: Foreground) -> Urls | None:
        """Start the foreground's own children once the server answers; None where a signal comes first."""
        waiting = asyncio.ensure_future(self._crew.wait_for_server(SERVER_UP_S))
        ending = asyncio.ensure_future(self._ending.wait())
        await asyncio.wait({waiting, ending}, return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        if not waiting.done():
            waiting.cancel()
            return None
        waiting.result()
        urls = self._crew.urls_for(foreground.order)
        foreground.on_ready(urls)
        for role in foreground.roles:
            self._crew.start_role(role, foreground.order)
        return urls

    async def _govern(self) -> None:
        """Return when the stack is to end. Meanwhile, end the worker when nobody has needed it for a grace."""
        attendance = self._attendance
        while not self._ending.is_set():
            attendance.changed.clear()
            look_at = min(attendance.free_at, attendance.worker_free_at if self._crew.serves_commands else float("inf"))
            if look_at <= self._loop.time():
                is_over = attendance.free_at <= self._loop.time()
                await self._provision.end_worker()
                if is_over and not attendance.pids:
                    return
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout_at(None if look_at == float("inf") else look_at):
                    await attendance.changed.wait()

    def _on_signal(self) -> None:
        if self._ending.is_set():
            self._crew.hurry.set()  # asked twice: no more waiting for the worker's batch
        self._begin_to_end()

    def _begin_to_end(self) -> None:
        self._ending.set()
        self._reception.refuse_more()
        self._attendance.changed.set()


def _read_grace_s(env: Mapping[str, str]) -> float:
    try:
        return max(0.0, float(env.get("USHER_GRACE_S", "")))
    except ValueError:
        return GRACE_S
