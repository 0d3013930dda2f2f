"""A process remembers how long Graph takes to answer, by connection: the median of the last answers
that it has seen. Pure.
"""

from __future__ import annotations

from collections import deque
from statistics import median_low

UNKNOWN_S = 1.0
"""Where no answer was seen yet; as good as any."""
_LAST = 9
"""Answers that count: one over a new connection, or a slow one among others, moves nothing."""


class Latencies:
    """One process's."""

    def __init__(self) -> None:
        self._seconds: dict[str, deque[float]] = {}

    def learn(self, connection: str, elapsed_s: float) -> None:
        """An answer came after so long."""
        self._seconds.setdefault(connection, deque(maxlen=_LAST)).append(elapsed_s)

    def of(self, connection: str) -> float:
        """Return how long an answer takes."""
        seen = self._seconds.get(connection)
        return median_low(seen) if seen else UNKNOWN_S
