"""A dry run: what would become of every row, and nothing is sent."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from console.access.need import Submitting
from console.access.viewer import Viewer
from console.faults import Fault
from console.parts import Parts, PartsOf
from console.problems import Problem
from console.v1 import answers
from console.v1.answers import PROBLEMS, answer
from console.v1.consent import checking_rows
from console.v1.fields import as_fields
from console.v1.orders import Taken, rows_of, take_order
from console.v1.submitting import refusals_told, too_much, within
from console.v1.told import SHOWN_BAD, risks_for, tell_faults
from tasks.forecast.dry_run import describe_dry_run
from tasks.forecast.rows import ForeseenRow
from tasks.forecast.several import describe_dry_runs, say_once
from tasks.producers import as_seen_by, beyond_looks, left_to_look, take_looks
from tasks.rows.fields import CONNECTION
from tasks.submission.planning import foresee
from tasks.submission.preparing import Prepared, prepare
from tasks.submission.request import Request as Asked
from tasks.submission.several import Several
from tasks.submission.splitting import Split
from tasks.submit import Loaded, drop, new_job_id
from worker.services import Services

router = APIRouter(prefix="/v1", tags=["jobs"], responses=PROBLEMS)
_SHOWN: Final = 1000


class ForeseenRowDocument(BaseModel):
    """What would become of a row."""

    model_config = ConfigDict(title="ForeseenRow")

    row: int
    email: str
    would: str = Field(description="invite, skip or refuse; of another operation its own word.")
    why: str
    connection: str | None = Field(default=None, description="Of a list that goes through several.")


class DryRun(BaseModel):
    """What would happen. The counts are those of a job of which nothing was sent."""

    model_config = ConfigDict(extra="allow")

    connection: str
    rows: int
    plan: dict[str, Any] = Field(description="What `usher invite --dry-run --json` tells in `plan`.")
    foreseen: list[ForeseenRowDocument] = Field(description=f"Each row; the first {_SHOWN}.")
    errors: list[Fault] = Field(description="What is wrong with the bad rows; the first 50.")
    warnings: list[str] = Field(description="What is remarkable about how the list was read.")


class Unasked(BaseModel):
    """A connection that could not be asked."""

    connection: str
    why: str


class OneOfSeveral(BaseModel):
    """What would happen through one of the connections."""

    model_config = ConfigDict(extra="allow")

    connection: str
    rows: int
    plan: dict[str, Any]


class DryRuns(BaseModel):
    """What would happen through several connections. The counts are the sum of theirs."""

    model_config = ConfigDict(extra="allow")

    rows: int
    jobs: list[OneOfSeveral] = Field(description="A line a connection.")
    unasked: list[Unasked] = Field(description="Connections that could not be asked; they are not in the counts.")
    foreseen: list[ForeseenRowDocument] = Field(description=f"Each row; the first {_SHOWN}.")
    errors: list[Fault] = Field(description="What is wrong with the bad rows; the first 50.")
    warnings: list[str] = Field(description="What is remarkable about how the list was read.")


@router.post(
    "/dry-runs",
    summary="Make a dry run",
    operation_id="dryRun",
    responses={200: {"model": DryRun | DryRuns}},
    openapi_extra={"requestBody": answers.ORDER_BODY, "parameters": answers.ORDER_PARAMETERS},
)
async def make_dry_run(request: Request, parts: PartsOf, viewer: Submitting) -> Response:
    """Look what would become of every row of a list, given as for `POST /v1/jobs`. Nothing is sent,
    and nothing of the list is kept.
    """
    async with take_order(request, parts, viewer, dry=True) as taken:
        with refusals_told():
            return answer(await (_look_through_several if taken.chosen else _look)(parts, viewer, taken))


async def _look(parts: Parts, viewer: Viewer, taken: Taken) -> dict[str, Any]:
    services, request, job = parts.services, taken.request, new_job_id()
    left = await left_to_look(services, viewer.bound)
    if viewer.bound is not None and left is not None:
        request.rows = within(request.rows, left, beyond_looks(viewer.bound, left), request.connection)
    prepared = await prepare(services, request, job, dry=True, admit=checking_rows(viewer, request.connection))
    try:
        await _admit(services, viewer, prepared.loaded.rows, request.connection, job)
        return await _foresee(parts, viewer, taken, prepared)
    finally:
        await drop(services.jobs, prepared.loaded)


async def _admit(services: Services, viewer: Viewer, rows: int, connections: str, look: str) -> None:
    """Raise `Problem` where a producer has looked at too many rows today."""
    if refusal := await take_looks(services, viewer.bound, rows, connections, look):
        raise too_much(refusal, connections)


async def _foresee(parts: Parts, viewer: Viewer, taken: Taken, prepared: Prepared) -> dict[str, Any]:
    services, request = parts.services, taken.request
    shown: list[dict[str, Any]] = []

    def hear(row: ForeseenRow) -> None:
        if len(shown) < _SHOWN:
            shown.append(_describe_row(row, request.operation, viewer))

    whole = describe_dry_run(*await foresee(services, request, prepared, hear))
    del whole["job"], whole["state"]
    whole["plan"]["risks"] = risks_for(services, viewer, [request.connection], whole["plan"]["risks"])
    return {**whole, "foreseen": shown, **_of_list(request, prepared.loaded)}


async def _look_through_several(parts: Parts, viewer: Viewer, taken: Taken) -> dict[str, Any]:
    services, request = parts.services, taken.request
    shown: list[dict[str, Any]] = []

    def hear(connection: str, row: ForeseenRow) -> None:
        if len(shown) < _SHOWN:
            shown.append({CONNECTION: connection, **_describe_row(row, request.operation, viewer)})

    with Split(taken.chosen) as split:
        await asyncio.to_thread(split.add_all, request.rows)
        await _admit(services, viewer, split.through_all, ",".join(split.asked), new_job_id())
        several = Several(services, request, split, admit=checking_rows(viewer, ",".join(taken.chosen)))
        await several.prepare(parts.follow, dry=True)
        try:
            several.refuse()
            found = await several.foresee(hear)
        finally:
            await several.drop()
        if not found:
            raise Problem(409, f"No tenant could be asked. {' '.join(say_once(several.unasked))}")
        whole = describe_dry_runs(found, split.nobodys_count)
        del whole["submission"], whole["state"]
        for told in whole["jobs"]:
            del told["job"], told["state"]
            told["plan"]["risks"] = risks_for(services, viewer, taken.chosen, told["plan"]["risks"])
        unasked = [{CONNECTION: name, "why": why} for name, why in several.unasked]
        withheld = say_once((name, str(met)) for name, met in several.withheld.items())
        of_list = _of_list(request, several.loaded)
        of_list["warnings"] += withheld
        return {**whole, "unasked": unasked, "foreseen": shown, **of_list}


def _describe_row(row: ForeseenRow, operation: str, viewer: Viewer) -> dict[str, Any]:
    email, would = str(row.row.get("email", "")), row.foreseen.would.told(operation)
    why = as_fields(as_seen_by(viewer.bound, row.foreseen.why))
    return {"row": row.number, "email": email, "would": would, "why": why}


def _of_list(request: Asked, loaded: Loaded) -> dict[str, Any]:
    return {
        "errors": tell_faults(rows_of(loaded.bad[:SHOWN_BAD])),
        "warnings": [as_fields(warning) for warning in request.guests.warnings] if request.guests else [],
    }
