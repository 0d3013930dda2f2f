"""All pages of a server that watch jobs are told from one look a second, however many there are.

A job is written as JSON once, and goes to whoever watches it only when it has changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from console.documents import describe_view
from worker.store.client import OUTAGE

if TYPE_CHECKING:
    from worker.ledger.jobs import Jobs

LOOK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of a job: its JSON; '' where it is gone. `ended`: nothing more will come.
    `away`: Redis does not answer just now.
    """

    data: bytes
    ended: bool = False
    away: bool = False


_GONE = Told(b"", ended=True)
_AWAY = Told(b"", away=True)


class Watching:
    """Looks at all jobs that somebody watches."""

    def __init__(self, jobs: Jobs, ending: asyncio.Event) -> None:
        self._jobs = jobs
        self._ending = ending
        self._watchers: dict[str, set[asyncio.Queue[Told]]] = {}
        self._last: dict[str, Told] = {}
        self._looking: asyncio.Task[None] | None = None

    async def watch(self, job: str) -> AsyncIterator[Told]:
        """Yield how a job stands, at once and at every change, until it has ended, is gone, or the
        server ends.
        """
        mine: asyncio.Queue[Told] = asyncio.Queue(1)
        watchers = self._watchers.setdefault(job, set())
        watchers.add(mine)
        if job in self._last:
            mine.put_nowait(self._last[job])
        self._begin()
        ending = asyncio.create_task(self._ending.wait())
        try:
            while True:
                told = await _first(mine, ending)
                if told is None:
                    return
                yield told
                if told.ended:
                    return
        finally:
            ending.cancel()
            watchers.discard(mine)
            if not watchers and self._watchers.get(job) is watchers:
                del self._watchers[job]
                self._last.pop(job, None)

    def _begin(self) -> None:
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while self._watchers and not self._ending.is_set():
            try:
                views = {view.id: view for view in await self._jobs.views([*self._watchers])}
            except OUTAGE:
                for job in self._watchers:
                    self._tell(job, _AWAY)
            else:
                for job in [*self._watchers]:
                    view = views.get(job)
                    told = Told(orjson.dumps(describe_view(view)), view.ended) if view else _GONE
                    self._tell(job, told)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._ending.wait()

    def _tell(self, job: str, told: Told) -> None:
        if self._last.get(job) == told:
            return
        self._last[job] = told
        for queue in self._watchers.get(job, ()):
            if queue.full():  # it has not gone out yet, and is old now
                queue.get_nowait()
            queue.put_nowait(told)


async def _first(queue: asyncio.Queue[Told], ending: asyncio.Task[bool]) -> Told | None:
    """Return what comes next; None when the server ends."""
    coming = asyncio.ensure_future(queue.get())
    try:
        done, _ = await asyncio.wait({coming, ending}, return_when=asyncio.FIRST_COMPLETED)
        return coming.result() if coming in done else None
    finally:  # whoever watched has gone, too
        coming.cancel()
