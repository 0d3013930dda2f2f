"""Submissions: lists that went through several connections, looked at and moved as one."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Path, Query
from starlette.responses import Response

from console.access.need import Approving, Submitting, Viewing
from console.access.viewer import Viewer
from console.documents import Submission as Document
from console.documents import SubmittedToSeveral, describe_submission
from console.parts import Parts, PartsOf
from console.problems import Problem
from console.v1.answers import PROBLEMS, answer, answer_tagged
from console.v1.consent import check_bounds, check_consent, check_pause, why_paused
from console.v1.jobs import LOCATION, Key
from console.v1.orders import Taken
from console.v1.submitting import refusals_told
from console.v1.submitting_several import submission_of, submit_to_several
from tasks.errors import Refusal
from tasks.forecast.several import say_once
from tasks.jobs.retrying import build_retry_of_all, choose_retried
from tasks.jobs.submissions import Submission, find_submission, no_such_submission
from tasks.jobs.together import approve_all, cancel_all, pause_all, resume_all
from tasks.producers import ANOTHERS
from tasks.submission.splitting import Split
from worker.operations.registry import find_operation

router = APIRouter(prefix="/v1", tags=["submissions"], responses=PROBLEMS)
SUBMISSION_ID: Final = r"^s-[a-z2-7]{10}([a-z2-7]{6})?$"
SubmissionId = Annotated[str, Path(pattern=SUBMISSION_ID, description="The id of a submission.", alias="submission")]
_MOVED: Final[dict[int | str, dict[str, Any]]] = {200: {"model": Document}}


async def find_its(parts: Parts, viewer: Viewer, name: str) -> Submission:
    """Return a submission that this viewer may know of: each job is theirs. Raises `Problem`."""
    try:
        found = await find_submission(parts.services, name)
    except Refusal as none:
        raise Problem(404, str(none)) from None
    assert found is not None
    if not all(viewer.sees(view.info) for view in found.views):
        raise Problem(404, no_such_submission(name), beyond=ANOTHERS, facts={"job": name})
    return found


@router.get(
    "/submissions/{submission}",
    summary="Show a submission",
    operation_id="showSubmission",
    responses={200: {"model": Document}, 304: {"description": "It is as it was (If-None-Match)."}},
)
async def show_submission(
    parts: PartsOf,
    viewer: Viewing,
    submission: SubmissionId,
    if_none_match: Annotated[str | None, Header(max_length=500, description="The ETag that you have.")] = None,
) -> Response:
    """Show how all jobs of a submission stand, and their sum."""
    return answer_tagged(describe_submission(await find_its(parts, viewer, submission)), if_none_match or "")


@router.post(
    "/submissions/{submission}/pause", summary="Pause a submission", operation_id="pauseSubmission", responses=_MOVED
)
async def pause(parts: PartsOf, viewer: Submitting, submission: SubmissionId) -> Response:
    """Pause each of its jobs after the batches in flight."""
    return _answer(await pause_all(parts.services, await find_its(parts, viewer, submission), why=why_paused(viewer)))


@router.post(
    "/submissions/{submission}/resume", summary="Resume a submission", operation_id="resumeSubmission", responses=_MOVED
)
async def resume(parts: PartsOf, viewer: Submitting, submission: SubmissionId) -> Response:
    """Let each of its jobs run on that is paused, or held by a run of refusals."""
    found = await find_its(parts, viewer, submission)
    for view in found.of_connections:
        check_bounds(viewer, view.connection, view.operation)
    for view in found.going_on:
        check_pause(viewer, view)
    await _follow(parts, found)
    return _answer(await resume_all(parts.services, found))


@router.post(
    "/submissions/{submission}/cancel", summary="Cancel a submission", operation_id="cancelSubmission", responses=_MOVED
)
async def cancel(parts: PartsOf, viewer: Submitting, submission: SubmissionId) -> Response:
    """End each of its jobs: rows not yet sent are cancelled, rows on the wire end as what they
    are.
    """
    return _answer(await cancel_all(parts.services, await find_its(parts, viewer, submission)))


@router.post(
    "/submissions/{submission}/approve",
    summary="Approve a submission",
    operation_id="approveSubmission",
    responses=_MOVED,
)
async def approve(parts: PartsOf, viewer: Approving, submission: SubmissionId) -> Response:
    """Let each of its jobs run that waits for approval, of somebody else's submission."""
    found = await find_its(parts, viewer, submission)
    await _follow(parts, found)
    return _answer(await approve_all(parts.services, found, viewer.person))


@router.post(
    "/submissions/{submission}/retry",
    status_code=202,
    summary="Retry a submission",
    operation_id="retrySubmission",
    responses={202: {"model": SubmittedToSeveral, "headers": LOCATION}},
)
async def retry(
    parts: PartsOf,
    viewer: Submitting,
    submission: SubmissionId,
    key: Key = None,
    confirm: Annotated[bool, Query(description="Must be true where something is taken away from guests.")] = False,
) -> Response:
    """Try again what failed or stayed in doubt in any of its jobs, each row through its connection,
    as a new submission. A job that has not ended is named in `warnings`, and left as it is.
    """
    found = await find_its(parts, viewer, submission)
    for view in found.of_connections:
        check_bounds(viewer, view.connection, view.operation)
    operations = dict.fromkeys(name for view in found.views for name in (view.operation, *view.stages))
    check_consent(viewer, [find_operation(name) for name in operations], confirm=confirm)
    async with parts.loads.turn():
        with refusals_told():
            views, left = choose_retried(found)
            with Split([view.connection for view in views]) as split:
                request, more = await build_retry_of_all(parts.services, found, views, viewer.to_info(), split)
                request.rows = split.named_rows()
                taken = Taken(request, request.name, chosen=split.asked)
                told = await submit_to_several(parts, viewer, taken, submission_of(key, request.name, viewer))
    told["warnings"] += say_once([*left, *more])
    return answer(told, 202, {"Location": f"/v1/submissions/{told['submission']}"})


async def _follow(parts: Parts, submission: Submission) -> None:
    for view in submission.going_on:
        await parts.follow(view.id)


def _answer(submission: Submission) -> Response:
    return answer(describe_submission(submission))
