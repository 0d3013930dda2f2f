"""What is dear to serve is served a few at a time: whoever comes when all turns are taken waits a
moment, then is told when to come again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from console.problems import Problem

_WAIT_S = 10.0
_AGAIN_S = 10.0


class Turns:
    """So many at a time."""

    def __init__(self, at_once: int) -> None:
        self._free = asyncio.Semaphore(at_once)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Have a turn for the block. Raises `Problem` where none is free for a while."""
        try:
            async with asyncio.timeout(_WAIT_S):
                await self._free.acquire()
        except TimeoutError:
            raise Problem(
                503, "The server is busy with others' lists; ask again in a moment.", retry_after_s=_AGAIN_S
            ) from None
        try:
            yield
        finally:
            self._free.release()
