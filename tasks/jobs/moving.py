"""A job is paused, resumed or cancelled because somebody asked for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.errors import Refusal
from worker.ledger.model import JobState

if TYPE_CHECKING:
    from worker.ledger.job_view import JobView
    from worker.services import Services

ASKED_FOR = "asked for"
BY_PRODUCER = "asked for by its producer"


async def pause_job(services: Services, view: JobView, *, why: str = ASKED_FOR) -> JobView:
    """Pause a job after the batches in flight; returns how it stands then. A producer's wish
    (`BY_PRODUCER`) leaves the pause of whoever runs usher what it is. Raises `Refusal`.
    """
    _refuse_ended(view, "pause")
    if why != BY_PRODUCER or not is_paused_by_people(view):
        await services.jobs.pause(view.id, why)
    return await _stands(services, view)


def is_paused_by_people(view: JobView) -> bool:
    """Tell whether somebody who looks after usher paused a job, which its producer may not undo.
    Pure.
    """
    return ASKED_FOR in (view.pause, view.why if view.state is JobState.PAUSED else "")


async def cancel_job(services: Services, view: JobView) -> JobView:
    """End a job; returns how it stands then. Raises `Refusal`."""
    _refuse_ended(view, "cancel")
    await services.jobs.cancel(view.id, ASKED_FOR)
    return await _stands(services, view)


def refuse_resume(view: JobView) -> None:
    """Raise `Refusal` for a job that cannot go on."""
    if view.state is JobState.CANCELLED:
        raise Refusal(f"Job {view.id} was cancelled and cannot go on; nothing was sent.")
    if view.state is JobState.LOADING:
        told = f" {view.why[0].upper()}{view.why[1:]}." if view.why else ""
        raise Refusal(f"Job {view.id} is still being loaded; nothing was sent.{told}")


async def resume_job(services: Services, view: JobView) -> JobView:
    """Let a job run on that waits for a person, and does not wait for an approval; returns how it
    stands then. One that waits for it, and was paused besides, is not paused then. One that has
    ended, or runs, is left as it is. Raises `Refusal`.
    """
    refuse_resume(view)
    if view.awaits_approval and not view.pause:
        raise Refusal(f"Job {view.id} waits for approval: whoever may approve it lets it go. {view.why}")
    if not view.ended:
        await services.jobs.resume(view.id)
    return await _stands(services, view)


def _refuse_ended(view: JobView, verb: str) -> None:
    if view.ended:
        raise Refusal(f"Job {view.id} has ended already ({view.state.value}); there is nothing to {verb}.")


async def _stands(services: Services, view: JobView) -> JobView:
    after = await services.jobs.view(view.id)
    if after is None:
        raise Refusal(f"Job {view.id} is gone: somebody deleted it.")
    return after
