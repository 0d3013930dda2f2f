"""The dispatcher's side of the ledger: what is due is offered, what has expired is freed, what was
lost is put right.

Each method is one Lua script (`scripts/tick.lua`, `heal.lua`, `offer_chunk.lua`).
"""

from __future__ import annotations

from dataclasses import dataclass

from redis.asyncio import Redis

from worker.errors import LedgerTooNew
from worker.graph.batch import BATCH_LIMIT
from worker.ledger.keys import SCHEMA, Keys
from worker.ledger.model import Lane, Ticket
from worker.ledger.scripts import InLedger, to_ms

OFFER_S = 15.0
"""An offer nobody claims within this time is made again."""
WORKER_TTL_S = 10.0
"""A worker not seen for this long has no seats any more. It ticks once a second at least."""
HEAL_EVERY_S = 5.0
"""How often one of the workers looks for what was lost (`heal`)."""
MOST_OFFERS = 64
"""Offers made in one tick: bounds the time Redis spends in it."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A tick's result. `next_s`: when something known is due next; None: nothing is."""

    offers: tuple[tuple[Ticket, int], ...]  # with the number of chunks of its job
    next_s: float | None
    lost_leases: int
    unclaimed: int


class Offers(InLedger):
    """Offers of chunks, over one Redis client."""

    def __init__(self, client: Redis, keys: Keys, *, lease_s: float, settle_s: float) -> None:
        super().__init__(client, keys)
        self.lease_s = lease_s
        self.settle_s = settle_s

    async def tick(self, worker: str, seats: int, *, most: int = MOST_OFFERS) -> Tick:
        """Free what has expired and offer at most so many chunks for the seats that are free.
        `seats` 0: the worker is leaving.

        Raises `LedgerTooNew`, with nothing touched, when a newer usher works in this ledger.
        """
        k = self._keys
        reply = await self._scripts["tick"](
            keys=[
                *(k.workers(), k.worker_seats(), k.leases(), k.offers(), k.due(), k.due_now(), k.due_doubts()),
                *(k.seats_of(), k.offered_of(), k.fence(), k.hold_all(), k.schema(), k.gathering()),
            ],
            args=[
                *(k.prefix, worker, seats, to_ms(WORKER_TTL_S), to_ms(OFFER_S), to_ms(self.settle_s)),
                *(most if seats else 0, BATCH_LIMIT, SCHEMA),
            ],
        )
        if reply[0] == -2:
            raise LedgerTooNew()
        offers = tuple(
            (Ticket.parse(ticket.decode()), int(chunks))
            for ticket, chunks in zip(reply[3::2], reply[4::2], strict=True)
        )
        return Tick(offers, None if reply[0] < 0 else reply[0] / 1000, reply[1], reply[2])

    async def heal(self) -> int | None:
        """Put right what can be derived from the rest; whoever comes first does it for all. Returns
        what was wrong, None if too soon.
        """
        k = self._keys
        reply: int | None = await self._scripts["heal"](
            keys=[
                *(k.healed(), k.connections(), k.due(), k.due_now(), k.due_doubts(), k.leases(), k.offers()),
                *(k.seats_of(), k.offered_of(), k.hold_all(), k.workers(), k.loading(), k.notices(), k.gathering()),
            ],
            args=[k.prefix, to_ms(HEAL_EVERY_S), to_ms(self.lease_s), to_ms(OFFER_S), to_ms(self.settle_s)],
        )
        return reply

    async def make(self, job: str, chunk: int, connection: str, lane: Lane) -> Ticket | None:
        """Offer one chunk to the caller itself; None when it is not waiting to be sent."""
        k = self._keys
        ticket = await self._scripts["offer_chunk"](
            keys=[k.offers(), k.seats_of(), k.offered_of(), k.fence(), k.job(job), k.chunk(job, chunk)],
            args=[k.prefix, job, chunk, connection, lane.value, to_ms(OFFER_S)],
        )
        return Ticket.parse(ticket.decode()) if ticket else None

    async def is_begun(self, job: str) -> bool:
        """Whether a job's first chunk is offered or leased right now."""
        return await self._client.hget(self._keys.chunk(job, 0), "ph") in (b"o", b"l")
