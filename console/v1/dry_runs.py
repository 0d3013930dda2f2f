"""A dry run: what would become of every row, and nothing is sent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from config.connections import SANDBOX
from console.access.need import Submitting
from console.parts import Parts, PartsOf
from console.problems import Fault, Problem
from console.v1 import answers
from console.v1.answers import PROBLEMS, answer
from console.v1.orders import Taken, rows_of, take_order
from console.v1.submitting import SHOWN_BAD, as_fields
from tasks.errors import Refusal
from tasks.forecast.dry_run import describe_dry_run, foresee_list, plan_as_foreseen
from tasks.forecast.rows import ForeseenRow
from tasks.submission.preparing import Prepared, plan, prepare
from tasks.submission.refusing import RefusedRows
from tasks.submit import drop, new_job_id
from worker.errors import TokenRefused

router = APIRouter(prefix="/v1", tags=["jobs"], responses=PROBLEMS)
_SHOWN: Final = 1000


class ForeseenRowDocument(BaseModel):
    """What would become of a row."""

    model_config = ConfigDict(title="ForeseenRow")

    row: int
    email: str
    would: str = Field(description="invite, skip or refuse; of another operation its own word.")
    why: str


class DryRun(BaseModel):
    """What would happen. The counts are those of a job of which nothing was sent."""

    model_config = ConfigDict(extra="allow")

    connection: str
    rows: int
    plan: dict[str, Any] = Field(description="What `usher invite --dry-run --json` tells in `plan`.")
    foreseen: list[ForeseenRowDocument] = Field(description=f"Each row; the first {_SHOWN}.")
    errors: list[Fault] = Field(description="What is wrong with the bad rows; the first 50.")
    warnings: list[str] = Field(description="What is remarkable about how the list was read.")


@router.post(
    "/dry-runs",
    summary="Make a dry run",
    operation_id="dryRun",
    responses={200: {"model": DryRun}},
    openapi_extra={"requestBody": answers.ORDER_BODY, "parameters": answers.ORDER_PARAMETERS},
)
async def make_dry_run(request: Request, parts: PartsOf, viewer: Submitting) -> Response:
    """Look what would become of every row of a list, given as for `POST /v1/jobs`. Nothing is sent,
    and nothing of the list is kept.
    """
    async with parts.loads.turn(), take_order(request, parts.services, viewer, dry=True) as taken:
        try:
            return answer(await _look(parts, taken))
        except RefusedRows as refused:
            raise Problem(422, as_fields(str(refused)), errors=rows_of(list(refused.bad))) from None
        except (Refusal, TokenRefused) as refusal:
            raise Problem(409, as_fields(str(refusal))) from None


async def _look(parts: Parts, taken: Taken) -> dict[str, Any]:
    services, request = parts.services, taken.request
    prepared = await prepare(services, request, new_job_id(), dry=True)
    if prepared is None:
        raise Problem(409, "A job of this id exists already: ask again.", retry_after_s=1)
    try:
        return await _foresee(parts, taken, prepared)
    finally:
        await drop(services.jobs, prepared.loaded)


async def _foresee(parts: Parts, taken: Taken, prepared: Prepared) -> dict[str, Any]:
    services, request = parts.services, taken.request
    shown: list[dict[str, Any]] = []

    def hear(row: ForeseenRow) -> None:
        if len(shown) < _SHOWN:
            would = row.foreseen.would.told(request.operation)
            email = str(row.row.get("email", ""))
            shown.append({"row": row.number, "email": email, "would": would, "why": row.foreseen.why})

    forecast = await foresee_list(services, prepared, request, hear)
    left = replace(prepared, loaded=forecast.loaded, stages=forecast.stages)
    is_built_in = prepared.connection.name == SANDBOX and SANDBOX not in services.settings().connections
    told = plan_as_foreseen(await plan(services, request, left, rehearsal=is_built_in), forecast)
    whole = describe_dry_run(told, forecast)
    del whole["job"], whole["state"]
    return {
        **whole,
        "foreseen": shown,
        "errors": [fault.model_dump(exclude_none=True) for fault in rows_of(prepared.loaded.bad[:SHOWN_BAD])],
        "warnings": list(request.guests.warnings) if request.guests else [],
    }
