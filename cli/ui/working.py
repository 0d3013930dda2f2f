"""A command that follows no job works like this: signals end it, the ledger is opened, its work
returns the exit status.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from cli.ui.interrupts import Interrupts

if TYPE_CHECKING:
    from cli.ui.place import Place
    from cli.ui.session import Session
    from cli.ui.terminal import Terminal
    from worker.services import Services

    Work: TypeAlias = Callable[[Terminal, Place, Services], Awaitable[int]]


def work_on_ledger(session: Session, work: Work, *, sealed: bool = False) -> int:
    """Do a command's work on the ledger. That the list of connections cannot be read is said first.

    `sealed`: with the ledger's key, which links and addresses are kept under. Raises what
    `open_place` and `Place.services` raise.
    """
    from cli.ui.place import open_place
    from cli.ui.terminal import Terminal

    async def run(place: Place) -> int:
        terminal = Terminal(session)
        if place.unread:
            terminal.warn(place.unread)
        async with place.services(sealed=sealed) as services:
            return await work(terminal, place, services)

    with Interrupts().caught(), open_place() as place:
        return asyncio.run(run(place))


def work_on_rows(session: Session, work: Work, *, sealed: bool = False) -> int:
    """The same for a command about jobs and guests: how this server may lose them is said first."""

    async def warn_and_work(terminal: Terminal, place: Place, services: Services) -> int:
        for warning in place.warnings:
            terminal.warn(warning)
        return await work(terminal, place, services)

    return work_on_ledger(session, warn_and_work, sealed=sealed)
