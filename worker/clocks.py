"""Three clocks: ours, Redis's (all times of the ledger) and Graph's (a user's `createdDateTime`). Offsets are learned as we go."""

from __future__ import annotations

import time
from datetime import datetime


class Clocks:
    """Offsets of other clocks from this machine's, in seconds; 0 until first learned."""

    def __init__(self) -> None:
        self._redis_s = 0.0
        self._graph_s: dict[str, float] = {}

    def learn_redis(self, now_ms: int) -> None:
        """Redis just said what time it is."""
        self._redis_s = now_ms / 1000 - time.time()

    def learn_graph(self, host: str, date: datetime | None) -> None:
        """An answer of Graph carried this `Date`. It has whole seconds, so half a second is our best guess of the rest."""
        if date is not None:
            self._graph_s[host] = date.timestamp() + 0.5 - time.time()

    def redis_ms(self) -> int:
        """Return Redis's time as far as we know it."""
        return round((time.time() + self._redis_s) * 1000)

    def graph_time(self, host: str, redis_ms: int) -> float:
        """Return a time of the ledger on Graph's clock, in seconds since the epoch."""
        return redis_ms / 1000 - self._redis_s + self._graph_s.get(host, 0.0)

    def graph_offset_s(self, host: str) -> float | None:
        """Return how far Graph's clock is ahead of ours; None until an answer told."""
        return self._graph_s.get(host)
