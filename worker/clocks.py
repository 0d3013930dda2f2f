"""Three clocks: ours, Redis's (all times of the ledger) and Graph's (a user's `createdDateTime`). Offsets are learned as we go.

Ours is the monotonic one, which nobody sets. So a Redis clock that is put forward (a failover, a correction) is noticed, and what was
written before does not look older than it is: a row sent a moment ago is not taken for absent after `settle_s`. What happened before this
process first asked Redis for the time cannot be told from time that passed.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from datetime import datetime

_JUMP_S = 2.0
"""Less than this is taken for the delay of an answer."""


class Clocks:
    """Offsets of other clocks from this process's, in seconds; this machine's own time until first learned."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._redis_s: float | None = None
        self._graph_s: dict[str, float] = {}
        self._jumps: deque[tuple[float, float]] = deque(
            maxlen=16
        )  # Redis's time when it was put forward (ms), by how much (ms)

    def learn_redis(self, now_ms: int) -> None:
        """Redis just said what time it is."""
        offset_s = now_ms / 1000 - self._now()
        if self._redis_s is not None:
            jump_s = offset_s - self._redis_s
            if jump_s > _JUMP_S:
                self._jumps.append((now_ms - jump_s * 1000, jump_s * 1000))
            elif jump_s < -_JUMP_S:  # times that lie ahead now say nothing any more
                self._jumps = deque((jump for jump in self._jumps if jump[0] <= now_ms), maxlen=16)
        self._redis_s = offset_s

    def learn_graph(self, host: str, date: datetime | None) -> None:
        """An answer of Graph carried this `Date`. It has whole seconds, so half a second is our best guess of the rest."""
        if date is not None:
            self._graph_s[host] = date.timestamp() + 0.5 - self._now()

    def redis_ms(self) -> int:
        """Return Redis's time as far as we know it."""
        return round((time.time() if self._redis_s is None else self._now() + self._redis_s) * 1000)

    def age_s(self, mark_ms: int, at_ms: int) -> float:
        """Return how much time lay between two times of the ledger, without what its clock was put forward meanwhile."""
        jumped_ms = sum(by for before, by in self._jumps if mark_ms <= before < at_ms)
        return (at_ms - mark_ms - jumped_ms) / 1000

    def graph_time(self, host: str, redis_ms: int) -> float:
        """Return a time of the ledger on Graph's clock, in seconds since the epoch."""
        offset_s = self._graph_s.get(host)
        now_s = time.time() if offset_s is None else self._now() + offset_s
        return now_s - self.age_s(redis_ms, self.redis_ms())
