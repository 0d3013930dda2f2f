"""The loop around `when_to_stop` looks at a job, or at all jobs of a submission, draws them as one,
keeps the private stack up, and pauses them when asked to stop.

One connection's trouble ends nothing for the others: a submission is followed until each of its
jobs has ended or only a person can let it go on.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.follow.progress import Progress
from cli.follow.when_to_stop import DRAIN_S, End, Follower
from cli.ui.place import Place
from tasks.jobs.submissions import Submission
from tasks.telling.waiting import find_limits
from worker.ledger.model import JobState
from worker.stack.folders import StackError
from worker.store.client import OUTAGE, describe, keep_trying

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cli.follow.run import Run
    from worker.ledger.job_view import JobView
    from worker.services import Services

_LOOK_EVERY_S = 0.25
_LOOK_PER_JOB_S = 0.01
"""Many jobs are looked at less often: they are read anew each time."""
_MARK_EVERY_S = 5.0
_PAUSE_WITHIN_S = 10.0  # for Redis to take the pause
_AFTER_ONE = "the batch in flight. Once more leaves at once."
_AFTER_ALL = "the batches in flight."
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
    run: Run, services: Services, name: str, jobs: Sequence[str], *, wait_s: float | None, pauses: bool = True
) -> list[Followed]:
    """Follow jobs until each ends, holds or pauses, or somebody stops the command. `name`: the one
    job's, or the submission's that they are.

    `pauses`: stopping pauses them first, which is for the command that lets them run; one that
    only watches leaves them to that.
    """
    loop = asyncio.get_running_loop()
    followers = {job: Follower(wait_s) for job in jobs}
    alone = name in followers
    whole = followers[name] if alone else Follower(wait_s=None)
    look_every_s = _LOOK_EVERY_S + _LOOK_PER_JOB_S * len(jobs)
    views: dict[str, JobView] = {}
    ends: dict[str, End | None] = {}
    said: set[tuple[str, str]] = set()
    marked_s, stopped_s, note = float("-inf"), None, ""
    with run.interrupts.patiently() as asked, Progress(run.terminal) as progress:
        while True:
            now_s = loop.time()
            if asked.is_set() and stopped_s is None:
                stopped_s = now_s
                if not pauses:
                    ends = dict.fromkeys(jobs, End.LEFT)
                    break
                progress.say(f"Stopped by {run.interrupts.by}: pausing after {_AFTER_ONE if alone else _AFTER_ALL}")
                going_on = [job for job in jobs if job not in views or not views[job].ended]
                await _pause_soon(services, going_on, run.interrupts.by)
            try:
                if now_s - marked_s >= _MARK_EVERY_S:
                    mark = services.jobs.follow if pauses else services.jobs.watch
                    await asyncio.gather(*(mark(job, os.getpid()) for job in jobs))
                    marked_s = now_s
                views = {view.id: view for view in await services.jobs.views(jobs)}
                ends = {job: followers[job].see(views.get(job), now_s) for job in jobs}
                note = _no_worker(run.place) if whole.see_workers(len(await services.jobs.workers()), now_s) else ""
            except OUTAGE as error:
                ends = {job: followers[job].see_nothing(now_s) for job in jobs}
                note = (
                    f"Redis is away ({describe(error)}); what was accepted is safe, and usher goes on when it is back."
                )
            if views:
                seen = Submission(name, tuple(views.values()))
                run.session.last, total = seen.describe(), seen.total
                if not alone:
                    whole.see(total, now_s)
                    _say_waits(progress, (view for job, view in views.items() if ends[job] is None), said)
                elif not progress.limits:
                    progress.limits = find_limits(services, total)
                if not alone or ends[name] is not End.HELD:  # why is told in the end
                    progress.draw(total, whole, now_s, note)
            if stopped_s is not None and now_s - stopped_s > DRAIN_S + _PAUSE_WITHIN_S:
                ends = {job: end or End.LOST for job, end in ends.items()}
            if None not in ends.values():
                break
            note = await _keep_place(run.place, progress) or note
            with suppress(TimeoutError):
                # Once asked, the event stays set: the pause is polled like everything else.
                await asyncio.wait_for(asyncio.sleep(look_every_s) if asked.is_set() else asked.wait(), look_every_s)
    await leave(services, jobs)
    return [
        Followed(end, views.get(job), run.interrupts.by, note if end in (End.LOST, End.STUCK) else "")
        for job, end in ends.items()
        if end is not None
    ]


def _say_waits(progress: Progress, views: Iterable[JobView], said: set[tuple[str, str]]) -> None:
    """Say once what a job waits for, while the others go on."""
    for view in views:
        if view.state is JobState.HELD and view.why and (view.id, view.why) not in said:
            said.add((view.id, view.why))
            progress.say(f"{view.connection} waits: {view.why}")


async def leave(services: Services, jobs: Sequence[str]) -> None:
    """Follow jobs no more, wherever Redis is there to be told."""
    with suppress(*OUTAGE):
        for job in jobs:
            await services.jobs.unfollow(job, os.getpid())


async def _pause_soon(services: Services, jobs: Sequence[str], by: str) -> None:
    """Pause jobs for whoever stopped the command, as soon as Redis takes that."""

    async def pause(job: str) -> None:
        with suppress(*OUTAGE):
            await keep_trying(lambda: services.jobs.pause(job, f"stopped by {by}"), _PAUSE_WITHIN_S)

    await asyncio.gather(*map(pause, jobs))


async def _keep_place(place: Place, progress: Progress) -> str:
    """Stay attached to the private stack; returns what is wrong with it, '' if nothing is."""
    if not place.private:
        return ""
    try:
        for notice in await asyncio.to_thread(place.keep):
            progress.say(notice)
    except StackError as error:
        return str(error)
    return ""


def _no_worker(place: Place) -> str:
    """Say that no worker was seen, and where to look."""
    if place.private and place.hold is not None:
        return _NO_PRIVATE_WORKER.format(log=place.hold.log_path)
    return _NO_WORKER
