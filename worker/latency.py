"""How long Graph takes to answer, by connection: a moving average of what this process has seen. Pure."""

from __future__ import annotations

UNKNOWN_S = 1.0
"""Where no answer was seen yet; as good as any."""
_WEIGHT = 0.125
"""Of the newest answer: about the last fifteen count."""


class Latencies:
    """One process's."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def learn(self, connection: str, elapsed_s: float) -> None:
        """An answer came after so long."""
        before = self._seconds.get(connection, elapsed_s)
        self._seconds[connection] = before + (elapsed_s - before) * _WEIGHT

    def of(self, connection: str) -> float:
        """Return how long an answer takes."""
        return self._seconds.get(connection, UNKNOWN_S)
