"""Tries are limited: an address that brings many wrong tokens is not listened to for a while,
whichever instance it asks.

A token that was right here before stays right: whoever shares an address with a stranger, as behind
a proxy, is not locked out by them.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from worker.ledger.keys import Keys

MOST: Final = 20
"""Wrong tokens of one address within `WINDOW_S`."""
WINDOW_S: Final = 60
_KNOWN: Final = 1000  # right tokens that a process remembers, as hashes


class Tries:
    """The tries of all addresses, and the tokens that were right in this process."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client: Any = client
        self._keys = keys
        self._salt = secrets.token_bytes(16)
        self._known: OrderedDict[bytes, None] = OrderedDict()

    async def admit(self, address: str, token: str) -> None:
        """Raise HTTPException 429 where an address tried too often, and this was never right."""
        if self._hash(token) in self._known:
            return
        key = self._keys.console(f"refused:{address}")
        if int(await self._client.get(key) or 0) >= MOST:
            left_s = max(1, int(await self._client.ttl(key)))
            raise HTTPException(
                429,
                f"Too many wrong tokens came from this address: try again in {left_s} seconds.",
                {"Retry-After": str(left_s)},
            )

    async def note(self, address: str, token: str, *, right: bool) -> None:
        """Remember how a try ended."""
        if right:
            self._known[self._hash(token)] = None
            self._known.move_to_end(self._hash(token))
            if len(self._known) > _KNOWN:
                self._known.popitem(last=False)
            return
        self._known.pop(self._hash(token), None)
        key = self._keys.console(f"refused:{address}")
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.set(key, 0, ex=WINDOW_S, nx=True)
            pipe.incr(key)
            await pipe.execute()

    def _hash(self, token: str) -> bytes:
        return hashlib.sha256(self._salt + token.encode("utf-8", "surrogatepass")).digest()
