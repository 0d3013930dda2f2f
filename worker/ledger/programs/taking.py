"""One server at a time takes in the list of a job whose id its sender has chosen.

The claim ends by itself soon after its server was killed; whoever has it then finds what was left,
and begins anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis

from worker.ledger.keys import Keys
from worker.store.client import OUTAGE

CLAIM_S = 12.0
"""A claim that nobody renews ends after it."""
_RENEW_S = 3.0


class Claim:
    """A claim on a job's id."""

    def __init__(self, client: Redis, key: str) -> None:
        self._client: Any = client  # Any: redis-py's types say bytes or text of every reply; ours are bytes
        self._key = key
        self._token = secrets.token_hex(8).encode()

    async def take(self) -> bool:
        """Take it, if nobody has it."""
        return bool(await self._client.set(self._key, self._token, nx=True, px=round(CLAIM_S * 1000)))

    async def holds(self) -> bool:
        """Whether it is still ours: it may have ended while this process stood still."""
        return bool(await self._client.get(self._key) == self._token)

    async def renew(self) -> None:
        """Keep it, until cancelled."""
        while True:
            await asyncio.sleep(_RENEW_S)
            with contextlib.suppress(*OUTAGE):
                if await self.holds():
                    await self._client.pexpire(self._key, round(CLAIM_S * 1000))

    async def leave(self) -> None:
        """Let it go, if it is still ours."""
        if await self.holds():
            await self._client.delete(self._key)


@asynccontextmanager
async def claimed(client: Redis, keys: Keys, job: str) -> AsyncIterator[Claim | None]:
    """Hold the claim on a job's id for the block; None: another server has it."""
    claim = Claim(client, keys.taking(job))
    if not await claim.take():
        yield None
        return
    renewing = asyncio.create_task(claim.renew())
    try:
        yield claim
    finally:
        renewing.cancel()
        with contextlib.suppress(*OUTAGE):
            await claim.leave()
