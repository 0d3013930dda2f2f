"""The loop around `when_to_stop` looks at a job, draws it, keeps the private stack up, and pauses
the job when asked to stop.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from dataclasses import dataclass

from cli.follow.progress import Progress
from cli.follow.when_to_stop import DRAIN_S, End, Follower
from cli.ui.interrupts import Interrupts
from cli.ui.place import Place
from cli.ui.session import Session
from cli.ui.terminal import Terminal
from tasks.messages.views import describe_job
from tasks.telling.waiting import find_limits
from worker.ledger.job_view import JobView
from worker.services import Services
from worker.stack.folders import StackError
from worker.store.client import OUTAGE, describe, keep_trying

LOOK_EVERY_S = 0.25
MARK_EVERY_S = 5.0
PAUSE_WITHIN_S = 10.0  # for Redis to take the pause
_NO_WORKER = "No worker seen: the rows wait in the ledger until one runs (usher worker)."
_NO_PRIVATE_WORKER = "No worker seen: it has not started, or has ended; its log is {log}."


@dataclass(frozen=True, slots=True)
class Followed:
    """How following ended. `by`: what stopped the command, '' if nothing did."""

    end: End
    view: JobView | None
    by: str = ""
    why: str = ""


async def follow(
    session: Session,
    terminal: Terminal,
    interrupts: Interrupts,
    place: Place,
    services: Services,
    job: str,
    *,
    wait_s: float | None,
    pauses: bool = True,
) -> Followed:
    """Follow a job until it ends, holds or pauses, or somebody stops the command.

    `pauses`: stopping pauses the job first, which is for the command that lets it run; one that
    only watches leaves it to that.
    """
    loop = asyncio.get_running_loop()
    follower = Follower(wait_s)
    with interrupts.patiently() as asked, Progress(terminal) as progress:
        view: JobView | None = None
        marked_s = float("-inf")
        note, stopped_s = "", None
        while True:
            now_s = loop.time()
            if asked.is_set() and stopped_s is None:
                stopped_s = now_s
                if not pauses:
                    await leave(services, job)
                    return Followed(End.LEFT, view, interrupts.by)
                progress.say(
                    f"Stopped by {interrupts.by}: pausing after the batch in flight. Once more leaves at once."
                )
                await pause_soon(services, job, interrupts.by)
            try:
                if now_s - marked_s >= MARK_EVERY_S:
                    await (services.jobs.follow if pauses else services.jobs.watch)(job, os.getpid())
                    marked_s = now_s
                view = await services.jobs.view(job)
                end = follower.see(view, now_s)
                workers = len(await services.jobs.workers())
                note = no_worker(place) if follower.see_workers(workers, now_s) else ""
            except OUTAGE as error:
                end = follower.see_nothing(now_s)
                note = (
                    f"Redis is away ({describe(error)}); what was accepted is safe, and usher goes on when it is back."
                )
            if view is not None:
                session.last = describe_job(view)
                if not progress.limits:
                    progress.limits = find_limits(services, view)
                if end is not End.HELD:  # why is told in the end
                    progress.draw(view, follower, now_s, note)
            if end is None and stopped_s is not None and now_s - stopped_s > DRAIN_S + PAUSE_WITHIN_S:
                end = End.LOST
            if end is not None:
                await leave(services, job)
                return Followed(end, view, interrupts.by, note if end in (End.LOST, End.STUCK) else "")
            note = await keep_place(place, progress) or note
            with suppress(TimeoutError):
                # Once asked, the event stays set: the pause is polled like everything else.
                await asyncio.wait_for(asyncio.sleep(LOOK_EVERY_S) if asked.is_set() else asked.wait(), LOOK_EVERY_S)


async def leave(services: Services, job: str) -> None:
    """Follow a job no more, wherever Redis is there to be told."""
    with suppress(*OUTAGE):
        await services.jobs.unfollow(job, os.getpid())


async def pause_soon(services: Services, job: str, by: str) -> None:
    """Pause a job for whoever stopped the command, as soon as Redis takes that."""
    with suppress(*OUTAGE):
        await keep_trying(lambda: services.jobs.pause(job, f"stopped by {by}"), PAUSE_WITHIN_S)


async def keep_place(place: Place, progress: Progress) -> str:
    """Stay attached to the private stack; returns what is wrong with it, '' if nothing is."""
    if not place.private:
        return ""
    try:
        for notice in await asyncio.to_thread(place.keep):
            progress.say(notice)
    except StackError as error:
        return str(error)
    return ""


def no_worker(place: Place) -> str:
    """Say that no worker was seen, and where to look."""
    if place.private and place.hold is not None:
        return _NO_PRIVATE_WORKER.format(log=place.hold.log_path)
    return _NO_WORKER
