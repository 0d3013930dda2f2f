"""`usher up`: a few lines about the private stack that it keeps running. What its processes say
goes to their logs.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

from cli.ui.terminal import Terminal
from cli.up_console import served_console
from config.connections import SANDBOX
from config.reader import load_settings
from tasks.errors import Refusal
from worker.logs import set_up_small
from worker.process.readiness import wait_for_port, wait_for_worker
from worker.stack.folders import Folders, find_folders
from worker.stack.foreground import run_foreground
from worker.stack.last_words import open_log

if TYPE_CHECKING:
    from cli.ui.session import Session
    from config.settings import Settings
    from worker.stack.private import Urls
    from worker.stack.supervisor import Describe

_WITHIN_S = 60.0
"""A slow machine's worker and Flower are up long before."""


def run_up(session: Session, *, console: bool = False) -> int:
    """Run the stack until it is told to end; `console`: that is served beside it. Raises `Refusal`
    where a Redis is configured, and what `run_foreground` raises.
    """
    settings = load_settings()
    if not settings.embedded:
        raise Refusal(
            "`usher up` runs a private server, but the configuration names a Redis: run usher worker, usher beat and"
            " usher flower instead."
        )
    folders = find_folders()
    folders.prepare()
    set_up_small(settings.logs.form, open_log(folders.log("supervisor")))
    terminal = Terminal(session)

    async def tell(urls: Urls, describe: Describe) -> None:
        def find_pid() -> int | None:
            pid = describe()["worker"]["pid"]
            return pid if isinstance(pid, int) else None

        pages = _find_pages()
        is_ready, has_pages = await asyncio.gather(
            _in_time(wait_for_worker(urls.redis_url, settings.ledger.prefix, find_pid)),
            _in_time(wait_for_port(*pages)) if pages else _in_time(asyncio.sleep(0)),
        )
        shown = pages if has_pages and not describe()["flower"]["trouble"] else None  # somebody else may have the port
        for line in describe_stack(settings, folders, urls, shown, is_ready=is_ready):
            terminal.say(line)
        try:
            async with AsyncExitStack() as beside:
                if console:
                    terminal.say(await beside.enter_async_context(served_console(folders)))
                await asyncio.Event().wait()
        finally:
            terminal.say("Ending: what is on the wire is answered and recorded first. Ctrl-C again ends at once.")

    return run_foreground(tell)


def describe_stack(
    settings: Settings, folders: Folders, urls: Urls, pages: tuple[str, int] | None, *, is_ready: bool
) -> list[str]:
    """Return what is said of a running stack: its pages, what to type next, its logs. Pure."""
    name = next(iter(settings.connections), SANDBOX)
    logs = f"{folders.logs} (worker.log, beat.log, flower.log)"
    lines = [
        "Ready. Ctrl-C ends it." if is_ready else f"The worker is not ready yet; {folders.log('worker')} says why."
    ]
    if pages:
        host, port = pages
        lines.append(f"  Pages  http://{f'[{host}]' if ':' in host else host}:{port}")
    return [
        *lines,
        f"  Next   usher invite guests.csv -c {name}{'' if name == SANDBOX else ' --dry-run'}   (in another terminal)",
        f"  Logs   {logs}",
        f"  Redis  USHER_REDIS_URL={urls.redis_url}   (for other processes of this account)",
    ]


def _find_pages() -> tuple[str, int] | None:
    """Return where Flower listens, as its own variables have it; None for a socket of its own, or
    what is no port.
    """
    port = os.environ.get("FLOWER_PORT") or "5555"
    if os.environ.get("FLOWER_UNIX_SOCKET") or not port.isdigit():
        return None
    address = (os.environ.get("FLOWER_ADDRESS") or "127.0.0.1").strip("[]")
    # These addresses are compared with, not listened on
    return ("127.0.0.1" if address in ("0.0.0.0", "::") else address), int(port)  # noqa: S104


async def _in_time(waiting: Awaitable[None]) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(_WITHIN_S):
            await waiting
            return True
    return False
