"""A command follows what it accepted until it may leave, says how that stands in the end, and asks
whether the rows after a pilot go out.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cli.follow.follow import Followed, follow, leave
from cli.follow.report import report
from cli.follow.together import report_together
from cli.follow.when_to_stop import End
from tasks.jobs.submissions import Submission, find_submission
from tasks.telling.words import many

if TYPE_CHECKING:
    from cli.follow.run import Run
    from cli.ui.terminal import Terminal
    from worker.services import Services


async def follow_and_report(
    run: Run,
    services: Services,
    name: str,
    jobs: Sequence[str] = (),
    *,
    detach: bool = False,
    wait_s: float | None = None,
    pauses: bool = True,
) -> int:
    """Follow an accepted job, or the jobs of a submission, and say how they stand in the end;
    returns the exit status.
    """
    jobs = jobs or (name,)
    run.session.accepted = name
    if detach and await _leave_running(run, services, name, jobs):
        return 3
    thought_s = 0.0
    while True:
        ends = await follow(run, services, name, jobs, wait_s=run.patience_s(wait_s), pauses=pauses)
        if name in jobs:
            status = await report(run, services, ends[0], thought_s=thought_s)
        else:
            status = report_together(run, name, ends)
        asked_s = time.monotonic()
        if not _goes_on_after_pilot(run.terminal, ends):
            return status
        thought_s += time.monotonic() - asked_s
        for followed in ends:
            if followed.end is End.PILOT and followed.view is not None:
                await services.jobs.resume(followed.view.id)


async def follow_started(
    run: Run, services: Services, submission_id: str, *, detach: bool, wait_s: float | None
) -> int:
    """Name a submission that was started, and follow it; returns the exit status."""
    run.terminal.tell(f"Submission {submission_id}")  # with --json too: whoever kills us has to know it
    submission = await find_submission(services, submission_id)
    assert submission is not None
    return await follow_and_report(run, services, submission_id, submission.jobs, detach=detach, wait_s=wait_s)


async def _leave_running(run: Run, services: Services, name: str, jobs: Sequence[str]) -> bool:
    """Follow jobs no more, and say so, unless they have ended or are gone."""
    views = await services.jobs.views(jobs)
    if all(view.ended for view in views):
        return False
    await leave(services, jobs)
    run.session.last = Submission(name, tuple(views)).describe()
    run.terminal.show(f"Left running: usher jobs watch {name}")
    run.terminal.finish(run.session.last)
    return True


def _goes_on_after_pilot(terminal: Terminal, ends: Sequence[Followed]) -> bool:
    """Ask, where somebody is there and a pilot is over, whether the others of its rows are sent."""
    over = [one for one in ends if one.end is End.PILOT and one.view is not None]
    if not over or any(one.by for one in over) or not terminal.interactive:
        return False
    left = sum(one.view.counts.pending for one in over if one.view is not None)
    return terminal.ask(f"Send the other {many(left, 'row')} now? [y/N]").lower() in ("y", "yes")
