"""A job is found by what a person calls it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.errors import Refusal
from worker.ledger.lists.submissions import is_submission
from worker.ledger.stages import is_stage, split_stage

if TYPE_CHECKING:
    from worker.ledger.job_view import JobView
    from worker.services import Services


async def find_job(services: Services, wanted: str) -> JobView:
    """Return the job of that id, or of the one id that begins so. Raises `Refusal`, of a
    stage's id too: a stage is shown and moved with its job.
    """
    wanted = wanted.strip().lower()
    if is_stage(wanted):
        from config.errors import quoted

        root, _ = split_stage(wanted)
        raise Refusal(f"{quoted(wanted)} is a stage, which is shown and moved with its job: name {quoted(root)}.")
    if is_submission(wanted):
        from config.errors import quoted

        raise Refusal(f"{quoted(wanted)} is a submission, and this is done to one job of it: usher jobs show {wanted}")
    view = await services.jobs.view(wanted)
    if view is not None:
        return view
    found = await services.jobs.matching(wanted)
    if len(found) > 1:
        raise Refusal(f"{len(found)} jobs or more begin with {wanted}: {', '.join(sorted(found)[:4])}, …")
    view = await services.jobs.view(found[0]) if found else None
    if view is None:
        from config.errors import quoted

        raise Refusal(
            f"There is no job {quoted(wanted)}: it never was, or it has been deleted or has expired (usher jobs list)."
        )
    return view
