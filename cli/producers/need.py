"""Whether programs need a token stands in the ledger once there was a producer: it is read, noted
and taken back there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from cli.ui.terminal import Terminal
    from worker.ledger.programs.token_need import TokenNeed
    from worker.services import Services

_WAIT_S: Final = 3.0
_T = TypeVar("_T")


def is_needed(terminal: Terminal) -> bool | None:
    """Return whether programs need a token although no producer is configured. None: the ledger
    cannot be asked, which is told.
    """

    async def look(need: TokenNeed, _: Services) -> bool:
        return await need.since() is not None

    return _tried(terminal, look, "Whether programs need a token cannot be told")


def note_needed(terminal: Terminal) -> None:
    """Note that programs need a token, before the last producer goes. Where the ledger cannot be
    asked, that is told: the workers who see the producer note it themselves.
    """

    async def note(need: TokenNeed, _: Services) -> None:
        await need.note()

    _tried(
        terminal,
        note,
        "That programs need a token could not be noted now. Workers have noted it as soon as one saw the producer; look"
        " at usher producers list once Redis is back",
    )


def waive() -> bool:
    """Say that programs need no token, in the audit trail, too. False: they needed none. Raises
    what opening the ledger raises, and redis-py's outages.
    """

    async def take_back(need: TokenNeed, services: Services) -> bool:
        waived = await need.waive()
        if waived:
            await services.trail.note("producer.waived")
        return waived

    return _ask(take_back)


def _tried(terminal: Terminal, ask: Callable[[TokenNeed, Services], Awaitable[_T]], otherwise: str) -> _T | None:
    from worker.stack.folders import StackError
    from worker.store.client import OUTAGE, describe

    try:
        return _ask(ask)
    except OUTAGE as error:
        why = describe(error)
    except StackError as error:
        why = str(error)
    terminal.warn(f"{otherwise}: Redis cannot be reached ({why}).")
    return None


def _ask(ask: Callable[[TokenNeed, Services], Awaitable[_T]]) -> _T:
    from cli.ui.place import open_place
    from worker.ledger.programs.token_need import TokenNeed
    from worker.services import open_services

    async def asked() -> _T:
        url = place.settings.redis.url or ""
        async with open_services(lambda: place.settings, url, sealed=False, redis_timeout_s=_WAIT_S) as services:
            return await ask(TokenNeed(services.client, services.keys), services)

    with open_place() as place:
        return asyncio.run(asked())
