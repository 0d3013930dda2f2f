"""Jobs: a list is submitted, jobs are looked at and moved."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Path, Query, Request
from starlette.responses import Response as Plain

from console.access.need import Approving, Submitting, Viewing
from console.access.viewer import Viewer
from console.documents import Job, Jobs, Submitted, SubmittedToSeveral, describe_view
from console.parts import Parts, PartsOf
from console.problems import Problem
from console.v1 import answers
from console.v1.answers import PROBLEMS, answer, answer_tagged
from console.v1.consent import check_bounds, check_consent, check_pause, why_paused
from console.v1.cursor import PATTERN, read_cursor, write_cursor
from console.v1.fields import as_fields
from console.v1.orders import Taken, take_order
from console.v1.submitting import key_of, submit
from console.v1.submitting_several import submission_of, submit_to_several
from tasks.errors import Refusal
from tasks.jobs.approving import approve_job, describe_what_is_approved
from tasks.jobs.moving import cancel_job, pause_job, resume_job
from tasks.jobs.retrying import build_retry, refuse_retry
from tasks.producers import ANOTHERS
from tasks.rows.copied import open_copy
from worker.ledger.job_view import JobView
from worker.operations.registry import find_operation

router = APIRouter(prefix="/v1", tags=["jobs"], responses=PROBLEMS)
JOB_ID: Final = r"^[a-z2-7]{10}([a-z2-7]{6})?$"
JobId = Annotated[str, Path(pattern=JOB_ID, description="The id of a job.", alias="job")]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="A key of your own for this list: sent again with it, the list is taken in once.",
    ),
]
_MOST_PAGES: Final = 20
"""Pages of all jobs that are looked through for those that a producer may see."""
LOCATION: Final = {"Location": {"description": "The address of the job, or submission.", "schema": {"type": "string"}}}


async def find_view(parts: Parts, viewer: Viewer, job: str) -> JobView:
    """Return a job that this viewer may know of. Raises `Problem`."""
    view = await parts.services.jobs.view(job)
    if view is None or not viewer.sees(view.info):
        beyond = ANOTHERS if view is not None else ""
        none = f"There is no job {job}: it never was, or it has been deleted or has expired."
        raise Problem(404, none, beyond=beyond, facts={"job": job})
    return view


@router.post(
    "/jobs",
    status_code=202,
    summary="Submit a list",
    operation_id="submitJob",
    responses={202: {"model": Submitted | SubmittedToSeveral, "headers": LOCATION}},
    openapi_extra={"requestBody": answers.ORDER_BODY, "parameters": answers.ORDER_PARAMETERS},
)
async def submit_job(request: Request, parts: PartsOf, viewer: Submitting, key: Key = None) -> Plain:
    """Submit rows or a list. It is answered once the rows are in the ledger; they are sent from
    then on.

    As JSON with up to 10,000 rows; as a form (multipart/form-data) with a file; or as a file alone,
    with its options in the query. A list is read as `usher invite` reads it. Through several
    connections it is a submission: a job for each, all of them or none.
    """
    async with take_order(request, parts, viewer) as taken:
        through = taken.request.connection
        if taken.chosen:
            told = await submit_to_several(parts, viewer, taken, submission_of(key, through, viewer))
            return answer(told, 202, {"Location": f"/v1/submissions/{told['submission']}"})
        told = await submit(parts, viewer, taken, key_of(key, through, viewer))
    return answer(told, 202, {"Location": f"/v1/jobs/{told['job']}"})


@router.get("/jobs", summary="List jobs", operation_id="listJobs", responses={200: {"model": Jobs}})
async def list_jobs(
    parts: PartsOf,
    viewer: Viewing,
    limit: Annotated[int, Query(ge=1, le=200, description="How many.")] = 50,
    cursor: Annotated[str | None, Query(pattern=PATTERN, description="`next` of the page before.")] = None,
) -> Plain:
    """List jobs, the newest first. A page may be short, or empty, and still not be the last: `next`
    tells.
    """
    shown: list[JobView] = []
    after = read_cursor(parts.services, viewer, cursor)
    for _ in range(_MOST_PAGES):
        views, after = await parts.services.jobs.page(after, limit - len(shown))
        shown += [view for view in views if viewer.sees(view.info)]
        if after is None or len(shown) == limit:
            break
    told: dict[str, Any] = {"jobs": [describe_view(view) for view in shown]}
    if after is not None:
        told["next"] = write_cursor(parts.services, viewer, after)
    return answer(told)


@router.get(
    "/jobs/{job}",
    summary="Show a job",
    operation_id="showJob",
    responses={200: {"model": Job}, 304: {"description": "It is as it was (If-None-Match)."}},
)
async def show_job(
    parts: PartsOf,
    viewer: Viewing,
    job: JobId,
    if_none_match: Annotated[str | None, Header(max_length=500, description="The ETag that you have.")] = None,
) -> Plain:
    """Show how a job stands."""
    return answer_tagged(describe_view(await find_view(parts, viewer, job)), if_none_match or "")


_MOVED: Final[dict[int | str, dict[str, Any]]] = {200: {"model": Job}}


@router.post("/jobs/{job}/pause", summary="Pause a job", operation_id="pauseJob", responses=_MOVED)
async def pause(parts: PartsOf, viewer: Submitting, job: JobId) -> Plain:
    """Pause a job after the batches in flight."""
    return answer(
        describe_view(await pause_job(parts.services, await find_view(parts, viewer, job), why=why_paused(viewer)))
    )


@router.post("/jobs/{job}/resume", summary="Resume a job", operation_id="resumeJob", responses=_MOVED)
async def resume(parts: PartsOf, viewer: Submitting, job: JobId) -> Plain:
    """Let a job run on that is paused, or held by a run of refusals."""
    view = await find_view(parts, viewer, job)
    check_bounds(viewer, view.connection, view.operation)
    check_pause(viewer, view)
    await parts.follow(view.id)
    return answer(describe_view(await resume_job(parts.services, view)))


@router.post("/jobs/{job}/cancel", summary="Cancel a job", operation_id="cancelJob", responses=_MOVED)
async def cancel(parts: PartsOf, viewer: Submitting, job: JobId) -> Plain:
    """End a job: rows not yet sent are cancelled, rows on the wire end as what they are."""
    return answer(describe_view(await cancel_job(parts.services, await find_view(parts, viewer, job))))


@router.post("/jobs/{job}/approve", summary="Approve a job", operation_id="approveJob", responses=_MOVED)
async def approve(parts: PartsOf, viewer: Approving, job: JobId) -> Plain:
    """Let somebody else's job run that waits for approval (require_approval of its connection)."""
    view = await find_view(parts, viewer, job)
    await parts.follow(view.id)
    approved = describe_what_is_approved(parts.services, view, {})
    return answer(describe_view(await approve_job(parts.services, view, viewer.person, approved)))


@router.post(
    "/jobs/{job}/retry",
    status_code=202,
    summary="Retry a job",
    operation_id="retryJob",
    responses={202: {"model": Submitted, "headers": LOCATION}},
)
async def retry(
    parts: PartsOf,
    viewer: Submitting,
    job: JobId,
    key: Key = None,
    confirm: Annotated[bool, Query(description="Must be true where something is taken away from guests.")] = False,
) -> Plain:
    """Try again the rows of a job that failed or stayed in doubt, and of the others the stages that
    failed, as a new job.
    """
    view = await find_view(parts, viewer, job)
    check_bounds(viewer, view.connection, view.operation)
    check_consent(viewer, [find_operation(name) for name in (view.operation, *view.stages)], confirm=confirm)
    async with parts.loads.turn():
        with open_copy() as file:
            try:
                refuse_retry(view)
                request, left_out = await build_retry(parts.services, view, viewer.to_info(), file)
            except Refusal as refusal_of_job:
                raise Problem(409, as_fields(str(refusal_of_job))) from None
            taken = Taken(request, f"retry of {view.id}")
            told = await submit(parts, viewer, taken, key_of(key, view.connection, viewer))
    if left_out:
        told["warnings"].append(left_out)
    return answer(told, 202, {"Location": f"/v1/jobs/{told['job']}"})
