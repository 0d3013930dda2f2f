"""A command that runs a job has these at hand, gets ready, and follows the job until it may leave
it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.follow.follow import Followed, follow
from cli.follow.report import report
from cli.follow.when_to_stop import End
from cli.ui.interrupts import Interrupts
from cli.ui.place import Place, pause_left_behind
from cli.ui.session import Session
from cli.ui.terminal import Terminal
from tasks.messages.views import describe_job
from tasks.telling.words import many, number
from worker.ledger.job_view import JobView

if TYPE_CHECKING:
    from worker.services import Services

WAIT_S = 900.0
"""How long a command without a terminal waits through a hold that may end by itself."""


@dataclass(slots=True)
class Run:
    """What belongs together for the length of one command that runs a job."""

    session: Session
    terminal: Terminal
    interrupts: Interrupts
    place: Place

    def patience_s(self, wait_s: float | None) -> float | None:
        """How long to wait through a hold: as asked, else for ever where somebody watches, else 15
        minutes.
        """
        if wait_s is not None:
            return wait_s
        return None if self.terminal.live else WAIT_S


async def get_ready(run: Run, services: Services, connection: str, own: str = "") -> None:
    """Name what earlier commands left behind, then have a worker. `own`: the job that is to run.
    Raises `StackError`.
    """
    for warning in run.place.warnings:
        run.terminal.warn(warning)
    _name_unfinished(run.terminal, await pause_left_behind(run.place, services, own))
    run.place.need_worker(connection)


def _name_unfinished(terminal: Terminal, views: Sequence[JobView]) -> None:
    """Say which jobs of earlier commands wait to be resumed."""
    if not views:
        return
    told = ", ".join(
        f"{view.id} ({view.state.value}, {number(view.counts.pending)} of {many(view.counts.rows, 'row')} left)"
        for view in views[:3]
    )
    more = f" and {number(len(views) - 3)} more" if len(views) > 3 else ""
    verb = "approve" if all(view.awaits_approval for view in views) else "resume"
    example = f"usher jobs {verb} {views[0].id}" if len(views) == 1 else f"usher jobs {verb} ID"
    terminal.warn(f"{many(len(views), 'unfinished job')} from before: {told}{more}. To go on:", example)


async def follow_and_report(
    run: Run, services: Services, job: str, *, detach: bool = False, wait_s: float | None = None, pauses: bool = True
) -> int:
    """Follow an accepted job and say how it stands in the end; returns the exit status."""
    session, terminal, place = run.session, run.terminal, run.place
    session.accepted = job
    thought_s = 0.0
    while True:
        if detach:
            view = await services.jobs.view(job)
            if view is not None:
                session.last = describe_job(view)
                if not view.ended:
                    await services.jobs.unfollow(job, os.getpid())
                    terminal.show(f"Left running: usher jobs watch {job}")
                    terminal.finish(session.last)
                    return 3
        followed = await follow(
            session, terminal, run.interrupts, place, services, job, wait_s=run.patience_s(wait_s), pauses=pauses
        )
        status = await report(session, terminal, services, followed, runs_on=place.runs_on, thought_s=thought_s)
        asked_s = time.monotonic()
        if not goes_on_after_pilot(terminal, [followed]):
            return status
        thought_s += time.monotonic() - asked_s
        await services.jobs.resume(job)


def goes_on_after_pilot(terminal: Terminal, ends: Sequence[Followed]) -> bool:
    """Ask, where somebody is there and a pilot is over, whether the others of its rows are sent."""
    over = [one for one in ends if one.end is End.PILOT and one.view is not None]
    if not over or any(one.by for one in over) or not terminal.interactive:
        return False
    left = sum(one.view.counts.pending for one in over if one.view is not None)
    return terminal.ask(f"Send the other {many(left, 'row')} now? [y/N]").lower() in ("y", "yes")
