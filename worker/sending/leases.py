"""A process renews the leases that it holds together, while it lives. A worker that stops renewing
is taken for dead.

`begin_batch` asks Redis, not this module, whether a lease still holds; knowing it here early only
saves a round trip, and keeps a batch from leaving when its lease was lost between the mark and the
wire.
"""

from __future__ import annotations

import asyncio
import logging
from contextvars import Context

from worker.cancellation import end_task
from worker.ledger.batches import Ledger
from worker.ledger.model import Lease
from worker.store.client import OUTAGE

log = logging.getLogger(__name__)


MOST_S = 300.0
"""Longer than this no lease is renewed: a chunk is given back well before, so one that was not
hangs (`runner.LEASE_MAX_S`).
"""


class Leases:
    """A process's leases are renewed every third of their time, by one call for all of them."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._held: dict[Lease, float] = {}  # until when they are renewed, on the loop's clock
        self._task: asyncio.Task[None] | None = None

    def add(self, lease: Lease) -> None:
        """Keep a lease renewed from now on."""
        self._held[lease] = asyncio.get_running_loop().time() + MOST_S
        if self._task is None:
            # In a context of its own: its lines are not about the chunk that happened to be the
            # first.
            self._task = asyncio.create_task(self._renew_for_ever(), name="usher-leases", context=Context())

    def remove(self, lease: Lease) -> None:
        """Stop renewing a lease."""
        self._held.pop(lease, None)

    async def close(self) -> None:
        """Stop renewing anything."""
        if self._task:
            await end_task(self._task)
            self._task = None

    async def _renew_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._ledger.lease_s / 3)
            now_s = asyncio.get_running_loop().time()
            held = [lease for lease, until_s in self._held.items() if now_s < until_s]
            try:
                await self._ledger.renew(held)
            except OUTAGE as error:
                log.warning("leases cannot be renewed: Redis is away (%s)", type(error).__name__)
            except Exception:
                log.exception("leases could not be renewed")  # nor will they be, if this task ended
            for lease in held:
                if lease.lost:
                    self._held.pop(lease, None)
                    log.warning(
                        "job %s chunk %d: lease lost; nothing more of it is sent here",
                        lease.ticket.job,
                        lease.ticket.chunk + 1,
                        extra={
                            "job": lease.ticket.job,
                            "chunk": lease.ticket.chunk + 1,
                            "connection": lease.ticket.connection,
                        },
                    )
