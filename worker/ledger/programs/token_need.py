"""Whether programs need a token stands in the ledger, too: once a process has seen a producer
configured, they do, until somebody says openly that they need none (`usher producers waive`).

The last producer may be revoked, or its table lost by an edit: without this everybody would have
every right from then on, the revoked program first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisError

from worker.ledger.scripts import InLedger
from worker.store.client import OUTAGE, read_time_ms

if TYPE_CHECKING:
    from config.settings import Settings

log = logging.getLogger(__name__)
_LOOK_EVERY_S: Final = 1.0

NOBODY: Final = (
    "no producer is configured any more, and programs still need a token: whoever runs usher adds a producer (usher"
    " producers add), or says that programs need none (usher producers waive)"
)
"""Why nothing is taken from a program then."""


class TokenNeed(InLedger):
    """The need of one ledger's programs for a token."""

    async def note(self) -> None:
        """Note that programs need a token from now on; where they do already, it stays as it is."""
        await self._client.set(self._keys.tokens_needed(), await read_time_ms(self._client), nx=True)

    async def since(self) -> datetime | None:
        """Return since when programs need a token, None where they need none."""
        at_ms = await self._client.get(self._keys.tokens_needed())
        return None if at_ms is None else datetime.fromtimestamp(int(at_ms) / 1000, UTC)

    async def waive(self) -> bool:
        """Say that programs need no token. False: they needed none."""
        return bool(await self._client.delete(self._keys.tokens_needed()))


async def keep_noted(need: TokenNeed, settings: Callable[[], Settings]) -> None:
    """Look at the settings again and again, so that a change counts within seconds where nobody
    asks for anything, and note the need while a producer is configured. Ends when cancelled.
    """
    while True:
        await note_once(need, settings())
        await asyncio.sleep(_LOOK_EVERY_S)


async def note_once(need: TokenNeed, settings: Settings) -> None:
    """Note the need where a producer is configured; while Redis is away, the next look does."""
    if not settings.producers:
        return
    try:
        await need.note()
    except (*OUTAGE, RedisError) as error:
        log.debug("that programs need a token is noted later: Redis is away (%s)", type(error).__name__)
