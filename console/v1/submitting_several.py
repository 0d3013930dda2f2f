"""A list that goes through several connections is taken in once, as one submission: all of its jobs
begin in one moment, and a server that is killed before leaves nothing that was accepted.

The submission's id follows from the `Idempotency-Key` as a job's does, and the ids of its jobs from
the submission's: whoever asks again finds what was left.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from console.problems import Problem
from console.v1.consent import checking_rows
from console.v1.submitting import (
    admit_loaded,
    note_order,
    refusals_told,
    refuse_beyond_day,
    refuse_other_list,
    sender_of,
    take_in_once,
)
from console.v1.told import TAKEN_IN, numbers_of, risks_for, tell_again, tell_loaded
from tasks.forecast.several import say_once
from tasks.jobs.submissions import Submission
from tasks.producers import note_strays, settle_day
from tasks.submission.several import Several
from tasks.submission.splitting import Split
from tasks.submit import Follows, job_id_of
from worker.ledger.lists.submissions import new_submission_id, submission_id
from worker.ledger.model import JobState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.access.viewer import Viewer
    from console.parts import Parts
    from console.v1.orders import Taken
    from worker.ledger.job_view import JobView
    from worker.ledger.programs.taking import Claim
    from worker.services import Services


def submission_of(given: str | None, through: str, viewer: Viewer) -> str:
    """Return the id of the submission that an `Idempotency-Key` stands for, by the connections as
    they were named; a new one without a key.
    """
    if given is None:
        return new_submission_id()
    return submission_id(job_id_of(Follows.SUBMISSION, through, sender_of(viewer), given))


async def submit_to_several(parts: Parts, viewer: Viewer, taken: Taken, name: str) -> dict[str, Any]:
    """Take in an order under a submission's id, once; returns the answer. Raises as `submit`."""
    return await take_in_once(parts, name, lambda claim: _submit(parts, viewer, taken, name, claim))


async def _submit(parts: Parts, viewer: Viewer, taken: Taken, name: str, claim: Claim) -> dict[str, Any]:
    services, request = parts.services, taken.request
    before = await services.jobs.views([*await services.jobs.submissions.jobs(name)])
    if any(view.is_accepted for view in before):
        await refuse_other_list(before[0], taken, f"submission {name}")
        again = "This Idempotency-Key was used before: this is the submission that was made then."
        return {**_describe(Submission(name, tuple(before))), **await tell_again(services.jobs.rows, before, again)}
    note_order(taken)
    risks: list[str] = []
    with Split(taken.chosen) as split, refusals_told():
        await asyncio.to_thread(split.add_all, request.rows)
        await refuse_beyond_day(services, viewer, name, split.through_all, ",".join(split.asked))
        several = Several.named(services, request, split, name, checking_rows(viewer, ",".join(taken.chosen)))
        await _remove(services, await several.find_left())

        async def allow() -> None:
            risks.extend((await several.plan(ahead=False)).risks)
            await note_strays(services, viewer.bound, several.loaded)
            await admit_loaded(services, viewer, claim, name, several.parts)
            numbers = {TAKEN_IN: numbers_of(several.loaded)}
            await services.jobs.add_info(several.parts[0].loaded.loading, **numbers)

        await several.submit(parts.follow, allow)
        await settle_day(services, viewer.bound, name)
    withheld = say_once((name, str(met)) for name, met in several.withheld.items())
    warnings = [*withheld, *risks_for(services, viewer, taken.chosen, risks)]
    loaded = replace(several.loaded, rows=sum(part.loaded.rows for part in several.parts) + split.nobodys_count)
    return {**await _stands(services, several), **tell_loaded(request, loaded, warnings)}


async def _remove(services: Services, left: Sequence[JobView]) -> None:
    for view in left:
        if view.state is not JobState.LOADING:
            raise Problem(503, "What a server left that was killed is being removed: ask again.", retry_after_s=2)
        await services.jobs.drop(view.id)


async def _stands(services: Services, several: Several) -> dict[str, Any]:
    views = sorted(await services.jobs.views([*several.jobs]), key=lambda view: (not view.connection, view.connection))
    return _describe(Submission(several.id, tuple(views)))


def _describe(submission: Submission) -> dict[str, Any]:
    jobs = [{"job": view.id, "connection": view.connection} for view in submission.views]
    return {"submission": submission.id, "jobs": jobs, "state": submission.total.state.value}
