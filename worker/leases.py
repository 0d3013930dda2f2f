"""The leases this process holds, renewed together while it lives. A worker that stops renewing is taken for dead.

`begin_batch` asks Redis, not this module, whether a lease still holds; knowing it here early only saves a round trip, and keeps a
batch from leaving when its lease was lost between the mark and the wire.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from worker.ledger import Ledger
from worker.model import Lease
from worker.store import OUTAGE

log = logging.getLogger(__name__)


class Leases:
    """Holds and renews leases: every third of their time, one call for all of them."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._held: set[Lease] = set()
        self._task: asyncio.Task[None] | None = None

    def add(self, lease: Lease) -> None:
        """Keep a lease renewed from now on."""
        self._held.add(lease)
        if self._task is None:
            self._task = asyncio.create_task(self._renew_for_ever(), name="usher-leases")

    def remove(self, lease: Lease) -> None:
        """Stop renewing it."""
        self._held.discard(lease)

    async def close(self) -> None:
        """Stop renewing anything."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _renew_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._ledger.lease_s / 3)
            held = list(self._held)
            try:
                await self._ledger.renew(held)
            except OUTAGE as error:
                log.warning("leases cannot be renewed: Redis is away (%s)", type(error).__name__)
            for lease in held:
                if lease.lost:
                    self._held.discard(lease)
                    log.warning("job %s chunk %d: lease lost; nothing more of it is sent here", lease.ticket.job, lease.ticket.chunk)
