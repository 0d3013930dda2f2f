"""`usher up`: the worker's supervisor in this process, with beat and Flower beside it."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from typing import TypeAlias

from worker.stack.attachment import Attachment
from worker.stack.environment import Commands, build_order, build_watcher_env, build_worker_env
from worker.stack.folders import StackError, find_folders
from worker.stack.launch import end_unused, note_start, take_worker_lock
from worker.stack.presence import ROLES
from worker.stack.private import Urls
from worker.stack.supervisor import Describe, Supervisor, build_program_spec

logger = logging.getLogger("usher.stack")

_LOOK_EVERY_S = 1.0  # at the server's supervisor
_PATIENCE_S = 60.0  # with a background worker that makes way

Company: TypeAlias = Callable[[Urls, Describe], Awaitable[None]]
"""What goes on beside the programs, once the server answers, until they are to end."""


def run_foreground(company: Company, env: Mapping[str, str] = os.environ, commands: Commands | None = None) -> int:
    """Run worker, beat and Flower in this process until Ctrl-C or SIGTERM, and end them in order.
    Returns 0.

    The server is held up as for any command, and ends with this one where nobody else uses it; so
    is a sandbox that a command starts. A background worker that nobody uses makes way. Call it from
    the main thread. Raises `StackError` when another one runs already, a command uses the
    background's worker, or the server does not start.
    """
    folders = find_folders(env)
    folders.prepare()
    order = build_order(env, folders, commands or Commands())
    with closing(take_worker_lock(folders, _PATIENCE_S)) as lock:
        note_start(lock, order.commands.worker, order)
        with Attachment(folders, order, env, ("server",), needs=ROLES) as hold:
            envs = {
                "worker": build_worker_env(order, folders, hold.urls),
                "beat": build_watcher_env(order, folders, hold.urls),
                "flower": build_watcher_env(order, folders, hold.urls, "FLOWER_"),
            }
            specs = {
                name: build_program_spec(folders, name, getattr(order.commands, name), envs[name]) for name in envs
            }

            async def beside(describe: Describe) -> None:
                await asyncio.gather(company(hold.urls, describe), _keep(hold))

            asyncio.run(Supervisor(folders, lock, "worker", specs, env, beside).run())
        lock.clear_note()
    end_unused(folders)
    return 0


async def _keep(hold: Attachment) -> None:
    """Stay attached to the server's supervisor, should that be killed."""
    while True:
        await asyncio.sleep(_LOOK_EVERY_S)
        try:
            for notice in await asyncio.to_thread(hold.keep):
                logger.warning("%s", notice)
        except StackError as error:
            logger.error("%s", error)
