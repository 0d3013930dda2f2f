"""A list is taken in once: the same `Idempotency-Key` on the same connection is the same job,
whatever is killed in between.

The job's id follows from the key (`tasks.submit.job_id_of`), and one server at a time may take in
a list under it (`worker.ledger.programs.taking`). A job that loads and that nobody has claimed was
left by a server that was killed: nothing of it was accepted, and it is loaded anew.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import orjson

from console.problems import Problem
from console.v1.consent import checking_rows
from console.v1.fields import as_fields
from console.v1.orders import Taken, rows_of
from console.v1.told import TAKEN_IN, numbers_of, risks_for, tell_again, tell_loaded
from tasks.errors import JobExists, Refusal
from tasks.producers import beyond_day, left_of_day, note_strays, settle_day, take_day
from tasks.submission.planning import plan
from tasks.submission.preparing import prepare
from tasks.submission.refusing import RefusedRows
from tasks.submit import Follows, dropping, job_id_of, new_job_id, start
from worker.ledger.model import JobState
from worker.ledger.programs.taking import Claim, claimed

if TYPE_CHECKING:
    from console.access.viewer import Viewer
    from console.parts import Parts
    from tasks.rows.row import BadRow, ValidRow
    from tasks.submission.preparing import Prepared
    from tasks.submission.request import Request
    from worker.ledger.job_view import JobView
    from worker.services import Services

_ORDER: Final = "order"
"""What a job's `info` keeps of the operation and options that it was ordered with."""
_UNTIL_ASKED_AGAIN_S: Final = 3600.0  # of a limit a day
_WAIT_S: Final = 20.0
_LOOK_EVERY_S: Final = 0.2


def key_of(given: str | None, connection: str, viewer: Viewer) -> str:
    """Return the id of the job that an `Idempotency-Key` stands for; a new one without a key. Each
    producer, and each person, has keys of their own.
    """
    return new_job_id() if given is None else job_id_of(Follows.KEY, connection, sender_of(viewer), given)


def sender_of(viewer: Viewer) -> str:
    """Return whose keys are a viewer's."""
    return viewer.producer or f"{viewer.kind.value}:{viewer.person}"


async def submit(parts: Parts, viewer: Viewer, taken: Taken, job: str) -> dict[str, Any]:
    """Take in an order under a job's id, once; returns what is answered. Raises `Problem`, and what
    reading and loading raise.
    """
    return await take_in_once(parts, job, lambda claim: _submit(parts, viewer, taken, job, claim))


async def take_in_once(
    parts: Parts, name: str, take_in: Callable[[Claim], Awaitable[dict[str, Any]]]
) -> dict[str, Any]:
    """Take in a list while nobody else does under this id. Raises `Problem`."""
    services, until_s = parts.services, time.monotonic() + _WAIT_S
    while True:
        async with claimed(services.client, services.keys, name) as claim:
            if claim is not None:
                return await take_in(claim)
        if time.monotonic() > until_s:
            raise Problem(
                409, "A list with this Idempotency-Key is being taken in just now: ask again.", retry_after_s=10
            )
        await asyncio.sleep(_LOOK_EVERY_S)


async def _submit(parts: Parts, viewer: Viewer, taken: Taken, job: str, claim: Claim) -> dict[str, Any]:
    services, request = parts.services, taken.request
    view = await services.jobs.view(job)
    if view is not None and view.is_accepted:
        await refuse_other_list(view, taken, f"job {view.id}")
        again = "This Idempotency-Key was used before: this is the job that was made then."
        return {"job": view.id, "state": view.state.value, **await tell_again(services.jobs.rows, [view], again)}
    if view is not None and view.state is not JobState.LOADING:  # left by a killed server, and somebody cleans up
        raise Problem(503, "What a server left that was killed is being removed: ask again.", retry_after_s=2)
    if view is not None:  # its server was killed: nothing of it was accepted
        await services.jobs.drop(job)
    if parts.follower is not None:
        await services.jobs.follow(job, parts.follower)
    note_order(taken)
    left = await left_of_day(services, viewer.bound, job)
    if viewer.bound is not None and left is not None:
        request.rows = within(request.rows, left, beyond_day(viewer.bound, left), request.connection)
    with refusals_told():
        try:
            prepared = await prepare(services, request, job, admit=checking_rows(viewer, request.connection))
        except JobExists:
            raise Problem(409, "A job of this id was made just now: ask again.", retry_after_s=1) from None
    async with dropping(services.jobs, prepared.loaded):
        await note_strays(services, viewer.bound, prepared.loaded)
        await admit_loaded(services, viewer, claim, job, [prepared])
        warnings = await warnings_of(services, viewer, request, prepared)
        await services.jobs.add_info(prepared.loaded.loading, **{TAKEN_IN: numbers_of(prepared.loaded)})
        state = await start(services.jobs, prepared.loaded)
        await settle_day(services, viewer.bound, job)
    return {"job": job, "state": state.value, **tell_loaded(request, prepared.loaded, warnings)}


@contextmanager
def refusals_told() -> Iterator[None]:
    """Have what a list is refused for told as problems, in the words of the API."""
    try:
        yield
    except RefusedRows as refused:
        raise Problem(422, as_fields(str(refused)), errors=rows_of(list(refused.bad))) from None
    except Refusal as refused:
        raise Problem(409, as_fields(str(refused))) from None


async def admit_loaded(
    services: Services, viewer: Viewer, claim: Claim, name: str, prepared: Sequence[Prepared]
) -> None:
    """Raise `Problem` where what is loaded may not be started: all rows together count for a
    producer's day, under this id.
    """
    if not await claim.holds():
        raise Problem(503, "The server stood still for too long; nothing was accepted.", retry_after_s=1)
    if refusal := await take_day(services, viewer.bound, *(part.loaded for part in prepared), of=name):
        raise too_much(refusal, ",".join(one.connection.name for one in prepared))


async def refuse_beyond_day(services: Services, viewer: Viewer, name: str, rows: int, connections: str) -> None:
    """Raise `Problem`, before they are loaded, where rows are too many for a producer's day."""
    left, producer = await left_of_day(services, viewer.bound, name), viewer.bound
    if producer is not None and left is not None and rows > left:
        raise too_much(beyond_day(producer, left), connections)


def within(rows: Iterable[ValidRow | BadRow], left: int, refusal: str, connection: str) -> Iterator[ValidRow | BadRow]:
    """Yield rows while they are no more than a producer has left. Raises the `Problem` of a refusal
    then: of a file nobody knows before it is read how many there are.
    """
    for number, row in enumerate(rows, 1):
        if number > left:
            raise too_much(refusal, connection)
        yield row


def too_much(refusal: str, connections: str) -> Problem:
    """Return what is answered to more rows than a producer's day has left."""
    told, facts = f"{refusal} Nothing was accepted.", {"connection": connections}
    return Problem(429, told, retry_after_s=_UNTIL_ASKED_AGAIN_S, beyond=refusal, facts=facts)


async def warnings_of(services: Services, viewer: Viewer, request: Request, prepared: Prepared) -> list[str]:
    """Return what the command would warn of before it sends."""
    risks = (await plan(services, request, prepared)).risks
    waits = [prepared.signed_in.waits] if prepared.signed_in.waits else []
    return [*waits, *risks_for(services, viewer, [prepared.connection.name], risks)]


def note_order(taken: Taken) -> None:
    """Have the job, or the jobs, keep what a second order under their key is compared with."""
    info = taken.request.info
    info[_ORDER] = _digest_order(taken.request)
    if taken.rows_digest:
        info["sha256"] = taken.rows_digest


async def refuse_other_list(view: JobView, taken: Taken, told: str) -> None:
    """Raise `Problem` where this job was made of another list than the one that was sent now, or of
    this list for something else.
    """
    other = ""
    if await asyncio.to_thread(taken.digest) != view.info.get("sha256"):
        other = "another list"
    elif view.info.get(_ORDER, _digest_order(taken.request)) != _digest_order(taken.request):
        other = f"the same list with another operation or other options ({view.operation})"
    if other:
        raise Problem(
            422,
            f"This Idempotency-Key was used for {other} before ({told}); nothing was accepted. A new list"
            " takes a new key, and so does what else is done with it.",
        )


def _digest_order(request: Request) -> str:
    """Return the digest of what is to be done with a list's rows."""
    asked = {"operation": request.operation, "options": asdict(request.options), "named": dict(request.named)}
    return hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
