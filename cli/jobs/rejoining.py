"""`usher jobs watch` and `resume`: following a job that was submitted before."""

from __future__ import annotations

import os
from typing import Any

from cli.follow.run import Run, follow_and_report, get_ready
from cli.jobs.several import resume_submission, watch_submission
from tasks.jobs.finding import find_job
from tasks.jobs.moving import refuse_resume
from tasks.jobs.submissions import match_submission
from worker.services import Services


async def watch_job(run: Run, services: Services, wanted: str, wait_s: float | None) -> int:
    """Follow a job to its end, and leave it as it is: whoever submitted it decides what becomes of
    it.
    """
    if submission := await match_submission(services, wanted):
        return await watch_submission(run, services, submission, wait_s)
    view = await find_job(services, wanted)
    await services.jobs.watch(view.id, os.getpid())
    if not view.ended:
        await get_ready(run, services, view.connection, own=view.id)
    return await follow_and_report(run, services, view.id, wait_s=wait_s, pauses=False)


async def resume_job(run: Run, services: Services, wanted: str, options: dict[str, Any]) -> int:
    """Let a paused job run on, and follow it."""
    if submission := await match_submission(services, wanted):
        return await resume_submission(run, services, submission, options)
    view = await find_job(services, wanted)
    refuse_resume(view)
    await services.jobs.follow(view.id, os.getpid())
    if view.awaits_approval:  # which only `approve` lets go: what is lifted is a pause
        await services.jobs.resume(view.id)
    elif not view.ended:
        await get_ready(run, services, view.connection, own=view.id)
        run.session.accepted = view.id
        await services.jobs.resume(view.id)
    return await follow_and_report(run, services, view.id, detach=options["detach"], wait_s=options["wait_s"])
