"""`usher jobs watch` and `resume`: following what was submitted before, a job or a submission."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from cli.follow.follow_and_report import follow_and_report
from cli.follow.run import Run, get_ready
from cli.ui.place import is_alone
from tasks.jobs.loading import tell_who_loads
from tasks.jobs.moving import refuse_resume
from tasks.jobs.submissions import Submission, find_any
from tasks.jobs.together import resume_all
from worker.services import Services

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.ledger.job_view import JobView


async def watch_job(run: Run, services: Services, wanted: str, wait_s: float | None) -> int:
    """Follow a job, or all of a submission, to its end, and leave it as it is: whoever submitted it
    decides what becomes of it.
    """
    found = await find_any(services, wanted)
    for job in found.jobs:
        await services.jobs.watch(job, os.getpid())
    if found.going_on:
        await _get_ready(run, services, found, found.going_on)
    return await follow_and_report(run, services, found.id, found.jobs, wait_s=wait_s, pauses=False)


async def resume_job(run: Run, services: Services, wanted: str, options: dict[str, Any]) -> int:
    """Let a paused job run on, or all of a submission, and follow it. One that waits for approval,
    which only `approve` lets go, is not paused then.
    """
    found = await find_any(services, wanted)
    for view in found.views if found.is_job else found.going_on:
        refuse_resume(await tell_who_loads(services, view, alone=is_alone(run.place)))
    for job in found.jobs:
        await services.jobs.follow(job, os.getpid())
    if may_run := [view for view in found.going_on if not view.awaits_approval]:
        await _get_ready(run, services, found, may_run)
    run.session.accepted = found.id
    await resume_all(services, found)
    following = {key: options[key] for key in ("detach", "wait_s")}
    return await follow_and_report(run, services, found.id, found.jobs, **following)


async def _get_ready(run: Run, services: Services, found: Submission, views: Sequence[JobView]) -> None:
    names = [view.connection for view in views]
    await get_ready(run, services, next(filter(run.place.is_built_in, names), names[0]), found.jobs)
