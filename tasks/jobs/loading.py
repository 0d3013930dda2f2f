"""A job is loading while its list is read and its submitter is asked. One whose submitter has gone
stays so for a while, and says what to do.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tasks.telling.words import span
from worker.ledger.jobs import FOLLOWED_S
from worker.ledger.model import JobState

if TYPE_CHECKING:
    from worker.ledger.job_view import JobView
    from worker.services import Services


async def tell_who_loads(services: Services, view: JobView, *, alone: bool = False) -> JobView:
    """Return a job that loads with what to do in `why`, where its submitter is silent; any other as
    it is. `alone`: no process is there that could be the submitter.
    """
    if view.state is not JobState.LOADING:
        return view
    silent_s = await services.jobs.loader_silent_s(view.id)
    if silent_s is None or (not alone and silent_s < FOLLOWED_S):
        return view
    return replace(view, why=_words(view.id, silent_s, gone=alone))


def _words(job: str, silent_s: float, *, gone: bool) -> str:
    later = (
        f"this one is removed an hour after its submitter was last heard of, or at once with usher jobs cancel {job}"
    )
    if gone:
        return f"its submitter has gone, and nothing was sent: submit the list again; {later}"
    return (
        f"nothing was sent; its submitter was last heard of {span(silent_s)} ago: it waits for an answer, or has gone."
        f" If it has gone, submit the list again; {later}"
    )
