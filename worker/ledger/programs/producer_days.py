"""A producer's day is counted: how many rows it has submitted since midnight, UTC."""

from __future__ import annotations

from worker.ledger.scripts import InLedger


class ProducerDays(InLedger):
    """The days of all producers of one ledger."""

    async def take(self, producer: str, job: str, rows: int, limit: int) -> int | None:
        """Take a job's rows from its producer's day; the same job takes them once. Returns None, or
        how many rows are left today, which are too few.
        """
        left = await self._scripts["take_daily"](keys=[self._keys.producer_day(producer)], args=[job, rows, limit])
        return None if int(left) < 0 else int(left)
