"""The jobs of one submission are followed together: one progress, until each of them has ended or
only a person can let it go on.

One connection's trouble ends nothing for the others. How each of them stands is told in the end.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from cli.follow.follow import (
    LOOK_EVERY_S,
    MARK_EVERY_S,
    PAUSE_WITHIN_S,
    Followed,
    keep_place,
    leave,
    no_worker,
    pause_soon,
)
from cli.follow.progress import Progress
from cli.follow.report import can_be_undone, how_to_go_on, outcome_table
from cli.follow.run import goes_on_after_pilot
from cli.follow.when_to_stop import DRAIN_S, End, Follower, exit_status
from cli.ui.terminal import Terminal, build_table
from tasks.forecast.several import NOBODYS_NAME
from tasks.jobs.submissions import Submission, add_up, find_submission
from tasks.telling.words import many, number, span
from worker.channels import INVITE
from worker.ledger.model import JobState, RowState
from worker.operations.operation import word_of
from worker.operations.registry import find_operation
from worker.store.client import OUTAGE, describe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence, Set

    from rich.table import Table

    from cli.follow.run import Run
    from worker.ledger.job_view import JobView
    from worker.services import Services

_LOOK_PER_JOB_S = 0.01
"""Many jobs are looked at less often: they are read anew each time."""
_TOGETHER = (End.PAUSED, End.PILOT, End.LEFT, End.LOST)
"""Ends that are told once, for all jobs that ended so; others have a reason of their own."""
_NO_END = (End.ENDED, End.CANCELLED)


class Droppable(Protocol):
    """Loaded jobs of one submission."""

    async def drop(self) -> bool:
        """Remove them. False: they run."""


@asynccontextmanager
async def dropping(run: Run, jobs: Droppable) -> AsyncIterator[None]:
    """Drop loaded jobs where the block that tells the plan, asks and starts them is left by an
    error. What runs already goes on.
    """
    try:
        yield
    except BaseException:
        if await jobs.drop():
            run.session.accepted = ""
        raise


async def follow_started(
    run: Run, services: Services, submission_id: str, *, detach: bool, wait_s: float | None
) -> int:
    """Name a submission that was started, and follow it; returns the exit status."""
    run.terminal.tell(f"Submission {submission_id}")  # with --json too: whoever kills us has to know it
    submission = await find_submission(services, submission_id)
    assert submission is not None
    return await follow_together_and_report(run, services, submission, detach=detach, wait_s=wait_s)


async def follow_together_and_report(
    run: Run,
    services: Services,
    submission: Submission,
    *,
    detach: bool = False,
    wait_s: float | None = None,
    pauses: bool = True,
) -> int:
    """Follow accepted jobs and say how they stand in the end; returns the exit status."""
    session, terminal = run.session, run.terminal
    session.accepted, session.last = submission.id, submission.describe()
    if detach and not submission.total.ended:
        for job in submission.jobs:
            await leave(services, job)
        terminal.show(f"Left running: usher jobs watch {submission.id}")
        terminal.finish(session.last)
        return 3
    while True:
        ends = await _follow(run, services, submission, run.patience_s(wait_s), pauses=pauses)
        status = _report(run, submission.id, ends)
        if not goes_on_after_pilot(terminal, ends):
            return status
        for followed in ends:
            if followed.end is End.PILOT and followed.view is not None:
                await services.jobs.resume(followed.view.id)


async def _follow(
    run: Run, services: Services, submission: Submission, wait_s: float | None, *, pauses: bool
) -> list[Followed]:
    loop = asyncio.get_running_loop()
    jobs, whole = submission.jobs, Follower(wait_s=None)
    followers = {job: Follower(wait_s) for job in jobs}
    views: Mapping[str, JobView] = {view.id: view for view in submission.views}
    look_every_s = LOOK_EVERY_S + _LOOK_PER_JOB_S * len(jobs)
    ends: dict[str, End | None] = {}
    said: set[tuple[str, str]] = set()
    marked_s, stopped_s, note = float("-inf"), None, ""
    with run.interrupts.patiently() as asked, Progress(run.terminal) as progress:
        while True:
            now_s = loop.time()
            if asked.is_set() and stopped_s is None:
                stopped_s = now_s
                if pauses:
                    progress.say(f"Stopped by {run.interrupts.by}: pausing after the batches in flight.")
                    going_on = [view for view in views.values() if not view.ended]
                    await asyncio.gather(*(pause_soon(services, view.id, run.interrupts.by) for view in going_on))
                else:
                    ends = dict.fromkeys(jobs, End.LEFT)
                    break
            try:
                if now_s - marked_s >= MARK_EVERY_S:
                    mark = services.jobs.follow if pauses else services.jobs.watch
                    await asyncio.gather(*(mark(job, os.getpid()) for job in jobs))
                    marked_s = now_s
                views = {view.id: view for view in await services.jobs.views(jobs)}
                ends = {job: followers[job].see(views.get(job), now_s) for job in jobs}
                note = no_worker(run.place) if whole.see_workers(len(await services.jobs.workers()), now_s) else ""
            except OUTAGE as error:
                ends = {job: followers[job].see_nothing(now_s) for job in jobs}
                note = (
                    f"Redis is away ({describe(error)}); what was accepted is safe, and usher goes on when it is back."
                )
            if views:
                run.session.last = Submission(submission.id, tuple(views.values())).describe()
                total = add_up(submission.id, [*views.values()])
                whole.see(total, now_s)
                progress.draw(total, whole, now_s, note)
                _say_waits(progress, (view for job, view in views.items() if ends[job] is None), said)
            if stopped_s is not None and now_s - stopped_s > DRAIN_S + PAUSE_WITHIN_S:
                ends = {job: end or End.LOST for job, end in ends.items()}
            if None not in ends.values():
                break
            note = await keep_place(run.place, progress) or note
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.sleep(look_every_s) if asked.is_set() else asked.wait(), look_every_s)
    for job in jobs:
        await leave(services, job)
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


def _report(run: Run, submission: str, ends: Sequence[Followed]) -> int:
    """Show how each job stands, and return the exit status of all."""
    terminal = run.terminal
    views = [followed.view for followed in ends if followed.view is not None]
    if not views:
        terminal.problem(f"The jobs of submission {submission} are gone: somebody deleted them, or they expired.")
        return 3
    run.session.last = Submission(submission, tuple(views)).describe()
    total = add_up(submission, views)
    if not terminal.quiet:
        took = f" in {span((total.finished_at - total.began_at).total_seconds())}" if total.finished_at else ""
        told = f"{many(total.counts.rows, 'row')} on {total.connection}, {total.state.value}{took}"
        terminal.show("", told, "", outcome_table(total), "", connection_table(views))
    for sentence, command in _how_to_go_on(submission, ends, runs_on=run.place.runs_on):
        terminal.warn(sentence, command)
    tell_results(terminal, submission, total)
    if any(view.ended and can_be_undone(view) for view in views):
        terminal.say(f"To take it back: usher guests undo {submission}")
    terminal.finish(run.session.last)
    statuses = [_status(followed) for followed in ends]
    return 3 if 3 in statuses else max(statuses)


def _status(followed: Followed) -> int:
    if followed.view is None:
        return 3
    return exit_status(followed.end, *map(followed.view.adds_up, ("failed", "in_doubt", "cancelled")))


def _how_to_go_on(submission: str, ends: Sequence[Followed], *, runs_on: bool) -> list[tuple[str, str]]:
    """Return, of jobs that did not end, why not, and the command that goes on with all of them; it
    stands once, after the last sentence that asks for it. Pure.
    """
    told = []
    for end in _TOGETHER:
        alike = [followed for followed in ends if followed.end is end]
        if views := [followed.view for followed in alike if followed.view is not None]:
            one = Followed(end, None, alike[0].by, alike[0].why)
            told += how_to_go_on(one, add_up(submission, views), runs_on=runs_on)
    for followed in ends:
        if followed.view is not None and followed.end not in (*_TOGETHER, *_NO_END):
            own = how_to_go_on(followed, replace(followed.view, id=submission), runs_on=runs_on)
            told += [(f"{followed.view.connection}: {sentence}", command) for sentence, command in own]
    last = {command: place for place, (_, command) in enumerate(told)}
    return [(sentence, command if last[command] == place else "") for place, (sentence, command) in enumerate(told)]


def connection_table(views: Sequence[JobView]) -> Table:
    """Return a line a connection: its job, how that stands, and its rows."""
    names = ("rows", "done", "already", "skipped", "failed", "in_doubt", "pending")
    done, already = _words_of({view.operation for view in views})
    headings = ("Connection", "Job", "State", "Rows", done, already, "Skipped", "Failed", "In doubt", "Left")
    rows = []
    for view in views:
        counts = [number(n) if (n := getattr(view.counts, name)) else "" for name in names]
        rows.append((view.connection or NOBODYS_NAME, view.id, view.state.value, *counts))
    return build_table(headings, rows, right=headings[3:])


def _words_of(operations: Set[str]) -> tuple[str, str]:
    """Return what is said above the rows to which it was done, and above those that were so."""
    if operations == {INVITE}:
        return "Invited", "Guests"
    if len(operations) > 1:
        return "Done", "Already"
    operation = find_operation(next(iter(operations)))
    return word_of(RowState.DONE, operation).replace("_", " ").capitalize(), "Already"


def tell_results(terminal: Terminal, submission: str, total: JobView) -> None:
    """Name the command for the one results file."""
    if terminal.quiet:
        return
    if total.adds_up("failed", "in_doubt"):
        options = " ".join(f"--only {name}" for name in ("failed", "in_doubt") if total.adds_up(name))
        terminal.say(f"The rows that need somebody: usher jobs results {submission} {options}")
    terminal.say(f"Everything about each row: usher jobs results {submission} -o results.csv")
