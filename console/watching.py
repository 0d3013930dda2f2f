"""All pages of a server that watch jobs, or submissions, are told from one look a second, however
many there are.

Each is written as JSON once, and goes to whoever watches it only when it has changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from console.documents import describe_submission, describe_view
from tasks.jobs.submissions import Submission
from worker.ledger.lists.submissions import is_submission
from worker.store.client import OUTAGE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from worker.ledger.job_view import JobView
    from worker.ledger.jobs import Jobs

LOOK_EVERY_S = 1.0
_LOOK_PER_JOB_S = 0.002  # many jobs are looked at less often


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of a job or submission: its JSON; '' where it is gone. `ended`: nothing more
    will come. `away`: Redis does not answer just now.
    """

    data: bytes
    ended: bool = False
    away: bool = False


_GONE = Told(b"", ended=True)
_AWAY = Told(b"", away=True)


class Watching:
    """Looks at all jobs and submissions that somebody watches."""

    def __init__(self, jobs: Jobs, ending: asyncio.Event) -> None:
        self._jobs = jobs
        self._ending = ending
        self._watchers: dict[str, set[asyncio.Queue[Told]]] = {}
        self._last: dict[str, Told] = {}
        self._jobs_of: dict[str, Sequence[str]] = {}
        self._looking: asyncio.Task[None] | None = None

    async def watch(self, job: str) -> AsyncIterator[Told]:
        """Yield how a job or submission stands, at once and at every change, until it has ended, is
        gone, or the server ends.
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
                self._jobs_of.pop(job, None)

    def _begin(self) -> None:
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while self._watchers and not self._ending.is_set():
            watched: Mapping[str, Sequence[str]] = {}
            try:
                watched = {name: await self._jobs_in(name) for name in [*self._watchers]}
                every = [*dict.fromkeys(job for jobs in watched.values() for job in jobs)]
                views = {view.id: view for view in await self._jobs.views(every)}
            except OUTAGE:
                for name in self._watchers:
                    self._tell(name, _AWAY)
            else:
                for name, jobs in watched.items():
                    self._tell(name, _describe(name, [views[job] for job in jobs if job in views]))
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S + _LOOK_PER_JOB_S * sum(map(len, watched.values()))):
                    await self._ending.wait()

    async def _jobs_in(self, name: str) -> Sequence[str]:
        """Return the jobs that are looked at for a name, which is a job's or a submission's."""
        if not is_submission(name):
            return [name]
        if not self._jobs_of.get(name):
            self._jobs_of[name] = [*await self._jobs.submissions.jobs(name)]
        return self._jobs_of[name]

    def _tell(self, job: str, told: Told) -> None:
        if self._last.get(job) == told:
            return
        self._last[job] = told
        for queue in self._watchers.get(job, ()):
            if queue.full():  # it has not gone out yet, and is old now
                queue.get_nowait()
            queue.put_nowait(told)


def _describe(name: str, views: Sequence[JobView]) -> Told:
    if not views:
        return _GONE
    if not is_submission(name):
        return Told(orjson.dumps(describe_view(views[0])), views[0].ended)
    submission = Submission(name, tuple(views))
    return Told(orjson.dumps(describe_submission(submission)), submission.total.ended)


async def _first(queue: asyncio.Queue[Told], ending: asyncio.Task[bool]) -> Told | None:
    """Return what comes next; None when the server ends."""
    coming = asyncio.ensure_future(queue.get())
    try:
        done, _ = await asyncio.wait({coming, ending}, return_when=asyncio.FIRST_COMPLETED)
        return coming.result() if coming in done else None
    finally:  # whoever watched has gone, too
        coming.cancel()
