"""Threads wait for a guest's turn, and leave their runs behind when their time is up.

A thread waiting for Microsoft's answer is at work. One that waits for a closed gate or for quota is
only lent: at most half of a worker's threads are, so that guests of one slow tenant never keep
everybody else's work from running.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

log = logging.getLogger(__name__)


class GuestWait:
    """One process's. Lives in the event loop's thread; `places` is set before anything waits."""

    def __init__(self, places: int = 1) -> None:
        self.places = places
        self._taken = 0
        self._runs: set[asyncio.Task[Any]] = set()

    @contextmanager
    def place(self) -> Iterator[bool]:
        """Take a place to wait in; False when all are taken."""
        if self._taken >= self.places:
            yield False
            return
        self._taken += 1
        try:
            yield True
        finally:
            self._taken -= 1

    def start(self, run: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start a run that goes on also when nobody waits for it any more."""
        task = asyncio.create_task(run)
        self._runs.add(task)
        task.add_done_callback(self._ended)
        return task

    async def finish(self, within_s: float) -> None:
        """Wait for the runs that are left, at the end of a worker: their rows are on the wire."""
        if self._runs:
            await asyncio.wait(self._runs, timeout=within_s)

    @property
    def busy(self) -> bool:
        """Whether runs are left."""
        return bool(self._runs)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._runs.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("the run of a single guest failed (%s); the dispatcher offers it again", type(error).__name__)


waiting = GuestWait()
"""This process's; `bootsteps` gives it its places."""
