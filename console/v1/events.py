"""A job's or a submission's progress as server-sent events, each the whole of it as `GET` has it.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Request
from sse_starlette.event import ServerSentEvent
from sse_starlette.sse import EventSourceResponse
from starlette.responses import Response

from console.access.guard import is_still_known
from console.access.need import Viewing
from console.parts import Parts, PartsOf
from console.v1.answers import PROBLEMS, tag_of
from console.v1.jobs import JobId, find_view
from console.v1.submissions import SubmissionId, find_its
from worker.store.client import OUTAGE

router = APIRouter(prefix="/v1", tags=["jobs"], responses=PROBLEMS)
_PING_S = 15
"""A proxy closes what is silent for a minute, most of them."""


_EVENT = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("event", "id", "data")},
    "required": ["event", "data"],
}


@router.get(
    "/jobs/{job}/events",
    summary="Watch a job",
    operation_id="watchJob",
    response_class=EventSourceResponse,
    responses={
        200: {
            "description": "Events `job` with the job as their data, the first at once; `end` is the last; `away` while"
            " Redis is.",
            "content": {"text/event-stream": {"schema": _EVENT}},
        },
        204: {"description": "It has ended, and you know how (Last-Event-ID)."},
    },
)
async def watch_job(
    request: Request,
    parts: PartsOf,
    viewer: Viewing,
    job: JobId,
    last_event_id: Annotated[str | None, Header(max_length=100, description="A browser sends it.")] = None,
) -> Response:
    """Tell a job at once, and whenever it has changed, until it has ended."""
    view = await find_view(parts, viewer, job)
    return _stream(request, parts, job, "job", ended=view.ended and bool(last_event_id))


@router.get(
    "/submissions/{submission}/events",
    summary="Watch a submission",
    operation_id="watchSubmission",
    tags=["submissions"],
    response_class=EventSourceResponse,
    responses={
        200: {
            "description": "Events `submission` with the submission as their data, the first at once; `end` is the"
            " last; `away` while Redis is.",
            "content": {"text/event-stream": {"schema": _EVENT}},
        },
        204: {"description": "It has ended, and you know how (Last-Event-ID)."},
    },
)
async def watch_submission(
    request: Request,
    parts: PartsOf,
    viewer: Viewing,
    submission: SubmissionId,
    last_event_id: Annotated[str | None, Header(max_length=100, description="A browser sends it.")] = None,
) -> Response:
    """Tell a submission at once, and whenever one of its jobs has changed, until all have ended."""
    found = await find_its(parts, viewer, submission)
    return _stream(request, parts, submission, "submission", ended=found.total.ended and bool(last_event_id))


def _stream(request: Request, parts: Parts, name: str, event: str, *, ended: bool) -> Response:
    if ended:
        return Response(status_code=204)  # by which a browser stops asking
    return EventSourceResponse(_events(request, parts, name, event), ping=_PING_S, headers={"X-Accel-Buffering": "no"})


async def _events(request: Request, parts: Parts, name: str, event: str) -> AsyncIterator[ServerSentEvent]:
    async for told in parts.watching.watch(name):
        if told.away:
            yield ServerSentEvent(data="Redis cannot be reached just now.", event="away")
            continue
        try:
            if not await is_still_known(request):
                return
        except OUTAGE:
            return  # whoever may know comes again
        data = told.data.decode()
        tag = tag_of(told.data).strip('"')
        if data:
            yield ServerSentEvent(data=data, event=event, id=tag)
        if told.ended:
            yield ServerSentEvent(data=data, event="end", id=tag)
