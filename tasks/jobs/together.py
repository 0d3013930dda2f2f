"""What people do with a submission is done to each of its jobs that it can be done to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from tasks.errors import Refusal
from tasks.jobs.approving import approve_job, describe_what_is_approved, refuse_approval
from tasks.jobs.moving import ASKED_FOR, cancel_job, pause_job, refuse_resume
from tasks.jobs.submissions import Submission, no_such_submission

if TYPE_CHECKING:
    from worker.ledger.approval import Person
    from worker.ledger.job_view import JobView
    from worker.services import Services


async def pause_all(services: Services, submission: Submission, *, why: str = ASKED_FOR) -> Submission:
    """Pause every job that goes on; returns how they stand then. Raises `Refusal`."""
    return await _move(services, submission, "pause", partial(pause_job, why=why))


async def cancel_all(services: Services, submission: Submission) -> Submission:
    """End every job that goes on; returns how they stand then. Raises `Refusal`."""
    return await _move(services, submission, "cancel", cancel_job)


async def resume_all(services: Services, submission: Submission) -> Submission:
    """Let every job run on that waits for a person, and does not wait for an approval; one that
    does, and was paused besides, is not paused then. Returns how they stand. Raises `Refusal`.
    """
    for view in submission.going_on:
        refuse_resume(view)
    for view in submission.going_on:
        if view.pause or not view.awaits_approval:
            await services.jobs.resume(view.id)
    return await again(services, submission)


async def delete_all(services: Services, submission: Submission) -> None:
    """Remove all of its jobs for good, and with the last of them the submission. One that still
    runs is cancelled first.
    """
    for view in submission.views:
        await services.jobs.delete(view.id)


def refuse_approval_of_all(submission: Submission, person: Person) -> Sequence[JobView]:
    """Return the jobs that wait for approval. Raises `Refusal` for one's own, and for none."""
    waiting = [view for view in submission.views if view.awaits_approval]
    for view in waiting or submission.views[:1]:
        refuse_approval(view, person)
    return waiting


async def approve_all(
    services: Services,
    submission: Submission,
    person: Person,
    would: Mapping[str, Mapping[str, int]] = MappingProxyType({}),
    *,
    pause_why: str = "",
) -> Submission:
    """Approve every job that waits for it, each as itself; returns how all stand then. `would`: by
    job, its rows by what a dry run said of them; `pause_why`: the jobs are paused instead of
    running. Raises `Refusal`.
    """
    for view in refuse_approval_of_all(submission, person):
        approved = describe_what_is_approved(services, view, would.get(view.id, {}))
        await approve_job(services, view, person, approved, pause_why=pause_why)
    return await again(services, submission)


async def again(services: Services, submission: Submission) -> Submission:
    """Return a submission as it stands now. Raises `Refusal` where it is gone."""
    views = await services.jobs.views(submission.jobs)
    if not views:
        raise Refusal(no_such_submission(submission.id))
    return Submission(submission.id, tuple(views))


async def _move(
    services: Services, submission: Submission, verb: str, move: Callable[[Services, JobView], Awaitable[JobView]]
) -> Submission:
    if not submission.going_on:
        raise Refusal(f"Every job of {submission.id} has ended already; there is nothing to {verb}.")
    for view in submission.going_on:
        await move(services, view)
    return await again(services, submission)
