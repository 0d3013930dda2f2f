"""A seat that has just ended a chunk is handed the next offer of the same job, instead of being
sent a message.

Celery's way from an offer to the task that runs it costs a worker as much as a batch. A seat that
ended a chunk cleanly therefore waits for its dispatcher's next tick, a few milliseconds; which
offers are made, and to whom, is decided by the tick alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from worker.ledger.model import Lane, Ticket

Offer = tuple[Ticket, int]


class Handover:
    """A handover knows the seats of one process that wait for another chunk of their job. For the
    loop's own thread.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[asyncio.Future[Ticket | None]]] = {}

    async def wait(self, job: str) -> Ticket | None:
        """Wait until the tick that follows; returns its offer of this job, None if it has none for
        this seat.
        """
        seat: asyncio.Future[Ticket | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(job, deque()).append(seat)
        return await seat

    def pass_on(self, offers: Sequence[Offer]) -> list[Offer]:
        """Give offers to those who wait for them; returns the rest."""
        if not self._waiting:
            return list(offers)
        return [offer for offer in offers if not self._give(offer[0])]

    def waiting(self) -> list[asyncio.Future[Ticket | None]]:
        """Return the seats that wait now."""
        return [seat for seats in self._waiting.values() for seat in seats]

    def dismiss(self, seats: Sequence[asyncio.Future[Ticket | None]] | None = None) -> None:
        """Let these seats, or all of them, go without an offer, if they have none yet."""
        for seat in self.waiting() if seats is None else seats:
            if not seat.done():
                seat.set_result(None)
        for job, waiting in list(self._waiting.items()):
            left = deque(seat for seat in waiting if not seat.done())
            if left:
                self._waiting[job] = left
            else:
                del self._waiting[job]

    def _give(self, ticket: Ticket) -> bool:
        seats = self._waiting.get(ticket.job) if ticket.lane is not Lane.DOUBT else None
        while seats:
            seat = seats.popleft()
            if not seat.done():  # else its task was cancelled while it waited
                seat.set_result(ticket)
                return True
        return False
