"""Refusals are written one by one while they are few; of a flood the trail has the number, for
whoever may send could else fill Redis with them.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from worker.store.client import OUTAGE

AT_ONCE: Final = 300
"""Refusals of one sender that are written one by one, by each process."""
_A_SECOND: Final = 10 / 60  # so many more of them with the time


class Floods:
    """What one process is asked for and refuses."""

    def __init__(self, *, sum_after_s: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._sum_after_s = sum_after_s
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}
        self._more: Counter[str] = Counter()
        self._sums: set[asyncio.Task[None]] = set()

    def take(self, sender: str) -> bool:
        """Count a refusal; tells whether it is written by itself."""
        now_s = self._clock()
        left, since_s = self._left.get(sender, (float(AT_ONCE), now_s))
        left = min(AT_ONCE, left + (now_s - since_s) * _A_SECOND)
        self._left[sender] = (left - 1 if left >= 1 else left, now_s)
        return left >= 1

    def sum_up(self, sender: str, note: Callable[[int], Awaitable[None]]) -> None:
        """Count one that is not; how many they were is noted after a while."""
        self._more[sender] += 1
        if self._more[sender] == 1:
            task = asyncio.create_task(self._sum(sender, note))
            self._sums.add(task)
            task.add_done_callback(self._sums.discard)

    async def settled(self) -> None:
        """Wait until what was counted so far is noted."""
        await asyncio.gather(*self._sums)

    async def _sum(self, sender: str, note: Callable[[int], Awaitable[None]]) -> None:
        await asyncio.sleep(self._sum_after_s)
        times = self._more.pop(sender)
        with suppress(*OUTAGE):  # Redis is away: the log has each
            await note(times)
