"""A producer's day is counted: how many rows it has submitted since midnight, UTC."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from worker.ledger.scripts import InLedger
from worker.store.client import read_time_ms

_DAY_MS: Final = 86_400_000


class ProducerDays(InLedger):
    """The days of all producers of one ledger."""

    _kind = "producer"

    def _day_of(self, producer: str) -> str:
        return self._keys.producer_day(producer, self._kind)

    async def take(self, producer: str, job: str, rows: int, limit: int) -> int | None:
        """Take a job's rows from its producer's day, once until it is accepted (`settle`). Returns
        None, or how many rows are left today, which are too few.
        """
        left = await self._scripts["take_daily"](keys=[self._day_of(producer)], args=[job, rows, limit])
        return None if int(left) < 0 else int(left)

    async def left(self, producer: str, job: str, limit: int) -> int:
        """Return how many rows a job may bring today; what it has taken itself counts as left."""
        day = f"{self._day_of(producer)}:{await read_time_ms(self._client) // _DAY_MS}"
        taken, its = await self._client.hmget(day, "n", job)
        return max(0, limit - int(taken or 0)) + int(its or 0)

    async def settle(self, producer: str, job: str) -> None:
        """Note that a job is accepted, so that another one under its id takes its rows anew."""
        await self._scripts["settle_daily"](keys=[self._day_of(producer)], args=[job])

    async def used(self, producers: Iterable[str]) -> dict[str, int]:
        """Return how many rows each has submitted today, of those who have a limit."""
        day, names = await read_time_ms(self._client) // _DAY_MS, list(producers)
        async with self._client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hget(f"{self._day_of(name)}:{day}", "n")
            found = await pipe.execute()
        return {name: int(rows or 0) for name, rows in zip(names, found, strict=True)}


class ProducerLooks(ProducerDays):
    """The rows that producers have looked at by dry runs, which have a day of their own."""

    _kind = "producer-looks"
