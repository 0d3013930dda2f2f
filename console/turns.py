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

    def __init__(self, at_once: int, whose: str = "others' lists") -> None:
        self._free = asyncio.Semaphore(at_once)
        self._whose = whose

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Have a turn for the block. Raises `Problem` where none is free for a while."""
        try:
            async with asyncio.timeout(_WAIT_S):
                await self._free.acquire()
        except TimeoutError:
            raise Problem(
                503, f"The server is busy with {self._whose}; ask again in a moment.", retry_after_s=_AGAIN_S
            ) from None
        try:
            yield
        finally:
            self._free.release()


class TurnsOfEach:
    """So many at a time of each caller: nobody waits here for what another sends slowly."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._turns: dict[str, tuple[Turns, int]] = {}

    @asynccontextmanager
    async def turn(self, caller: str) -> AsyncIterator[None]:
        """Have one of a caller's turns for the block. Raises `Problem` as `Turns.turn` does."""
        turns, here = self._turns.get(caller) or (Turns(self._at_once, "other lists of yours"), 0)
        self._turns[caller] = turns, here + 1
        try:
            async with turns.turn():
                yield
        finally:
            turns, here = self._turns.pop(caller)
            if here > 1:
                self._turns[caller] = turns, here - 1
