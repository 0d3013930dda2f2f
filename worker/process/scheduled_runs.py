"""A worker does so many runs of schedules at once, and fetches no others meanwhile.

A run takes a thread for minutes: it lists a tenant, or waits for one. A schedule over hundreds of
tenants would have every thread, and chunks, guests that somebody waits for and questions none. What
is not fetched waits in the broker, where another worker finds it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

MOST = 64
"""Runs at once: a quarter of the threads that a worker has unless told."""


def most_runs_of(threads: int) -> int:
    """Return how many runs a worker with that many threads does at once. Pure."""
    return max(1, min(MOST, threads - max(1, threads // 4)))


class ScheduledRuns:
    """One process's. `places` is set before anything runs."""

    def __init__(self, places: int = 1) -> None:
        self.places = places
        self._going = 0
        self._lock = threading.Lock()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count a run while it lasts."""
        with self._lock:
            self._going += 1
        try:
            yield
        finally:
            with self._lock:
                self._going -= 1

    @property
    def full(self) -> bool:
        """Whether no other run is to be fetched now."""
        return self._going >= self.places


runs = ScheduledRuns()
"""This process's; `bootsteps` gives it its places."""
