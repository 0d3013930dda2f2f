"""A chunk waits in its seat for the next tokens, where that takes a moment and seats are plenty.

A chunk that cannot go on is given back at once, so that no tenant holds seats it cannot use. But
where tokens for the next batch come within a second, giving back, offering, publishing and claiming
again cost several times what the batch itself does; a hundred tenants at their quota spend most of
a processor on it. So one chunk of a connection with a single job may wait in its seat, as long as
no more than half of the process's seats wait.
"""

from __future__ import annotations

import asyncio

MOST_S = 1.0
"""Longer waits are not worth a seat, and a warm stop waits for them."""
BESIDE_S = 2.0
"""Where one chunk waits already the next tokens are taken; another is not offered before this."""


class SeatWait:
    """A process waits in so many of its seats at most. `seats` is set when the dispatcher starts;
    without any seat, nothing waits.
    """

    def __init__(self, seats: int = 0) -> None:
        self.seats = seats
        self._waiting: set[str] = set()

    async def wait(self, connection: str, wait_s: float) -> float | None:
        """Wait for a connection's next tokens. Returns None when it is time to ask again, else when
        its chunk is to be offered again.
        """
        if wait_s > MOST_S or len(self._waiting) >= self.seats // 2:
            return wait_s
        if connection in self._waiting:
            return max(wait_s, BESIDE_S)
        self._waiting.add(connection)
        try:
            await asyncio.sleep(wait_s)
        finally:
            self._waiting.discard(connection)
        return None
