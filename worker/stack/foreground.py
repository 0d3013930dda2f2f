"""`usher up`: the private stack in this process, with worker, beat and Flower, until it is told to end."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from worker.stack.control import VERSION, open_channel
from worker.stack.crew import Role
from worker.stack.environment import Commands, build_order
from worker.stack.folders import Folders, StackError, find_folders
from worker.stack.lockfile import FileLock, try_lock
from worker.stack.private import Urls
from worker.stack.supervisor import Company, Foreground, supervise


async def _nobody(urls: Urls, describe: Callable[[], Mapping[str, Mapping[str, Any]]]) -> None:
    """Stand in for company that nobody wants."""


def run_foreground(
    roles: Iterable[Role] = ("worker", "beat", "flower"),
    env: Mapping[str, str] = os.environ,
    *,
    commands: Commands | None = None,
    on_ready: Callable[[Urls], None] = lambda urls: None,
    company: Company = _nobody,
    patience_s: float = 60.0,
) -> int:
    """Run the private stack in this process until Ctrl-C or SIGTERM, and end it in order. Returns 0.

    A background supervisor without commands is asked to end first, the data stays. `on_ready` is called once the server answers;
    `company` then runs beside the roles (`supervisor.Foreground`). Call it from the main thread. Raises `StackError` when another one runs already, or the server does not start.
    """
    folders = find_folders(env)
    folders.prepare()
    order = build_order(env, folders, commands or Commands())
    lock = _take_over(folders, time.monotonic() + patience_s)
    try:
        asyncio.run(supervise(folders, lock, env, Foreground(order, tuple(roles), on_ready, company)))
    finally:
        lock.close()
    return 0


def _take_over(folders: Folders, deadline: float) -> FileLock:
    """The supervisor's lock, after a background supervisor that nobody uses has made way for us."""
    while (lock := try_lock(folders.supervisor_lock)) is None:
        if time.monotonic() > deadline:
            raise StackError(f"Another supervisor holds {folders.supervisor_lock} and does not answer: stop it first.")
        channel = open_channel(folders)
        if channel is not None:
            try:
                channel.send({"v": VERSION, "ask": "end", "pid": os.getpid()}, deadline)
                answer = channel.receive(deadline)
            except OSError:
                answer = None
            finally:
                channel.close()
            if answer and "error" in answer:
                raise StackError(str(answer["error"]))
        time.sleep(0.02)
    lock.clear_note()
    return lock
