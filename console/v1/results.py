"""How the rows of a job ended: page by page as JSON, or all of them as a file, streamed."""

from __future__ import annotations

import asyncio
import io
import tempfile
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Query
from starlette.responses import Response, StreamingResponse

from console.access.need import Viewing
from console.access.viewer import Role, Viewer
from console.documents import Rows
from console.parts import Parts, PartsOf
from console.v1.answers import PROBLEMS, answer
from console.v1.jobs import JobId, find_view
from tasks.results.reading import as_iterator, chosen_results
from tasks.results.sheets import write_workbook
from tasks.results.table import Table, results_table, write_objects, write_table
from tasks.rows.fields import RESULT_COLUMNS, stage_columns
from worker.ledger.job_view import JobView

router = APIRouter(prefix="/v1", tags=["rows"], responses=PROBLEMS)
_BLOCK: Final = 500  # rows written at a time
_FILE_BLOCK: Final = 1 << 18
_TYPES: Final = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
Outcome = Literal[
    "invited", "already_guest", "done", "already", "skipped", "failed", "in_doubt", "pending", "cancelled"
]
_Only = Annotated[list[Outcome] | None, Query(description="Only rows that ended so; may be given several times.")]


@router.get("/jobs/{job}/rows", summary="Read rows", operation_id="readRows", responses={200: {"model": Rows}})
async def read_rows(
    parts: PartsOf,
    viewer: Viewing,
    job: JobId,
    after: Annotated[int, Query(ge=0, le=10**12, description="The rows behind this one.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many.")] = 500,
) -> Response:
    """Read rows as they stand, in their order."""
    view = await find_view(parts, viewer, job)
    rows = [
        _shown(record, viewer) async for record in parts.services.jobs.rows.results(view.id, after=after, limit=limit)
    ]
    told: dict[str, Any] = {"job": view.id, "state": view.state.value, "rows": rows}
    if rows and rows[-1]["row"] < view.counts.rows:
        told["next"] = rows[-1]["row"]
    return answer(told)


@router.get(
    "/jobs/{job}/results.{format}",
    summary="Download results",
    operation_id="downloadResults",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "The results file, as `usher jobs results` writes it.",
            "content": {kind.partition(";")[0]: {"schema": {"type": "string"}} for kind in _TYPES.values()},
        }
    },
)
async def download_results(
    parts: PartsOf,
    viewer: Viewing,
    job: JobId,
    form: Annotated[Literal["csv", "jsonl", "xlsx"], Path(alias="format", description="csv, jsonl or xlsx.")],
    only: _Only = None,
) -> Response:
    """Download how every row ended. The file can be fed back: only what failed is sent again."""
    view = await find_view(parts, viewer, job)
    records = _chosen(parts, viewer, view, tuple(only or ()))
    columns = (*RESULT_COLUMNS, *stage_columns(view.stages))
    headers = {
        "Content-Disposition": f'attachment; filename="{view.id}.{form}"',
        "Cache-Control": "private, no-store",
    }
    body = _sheet(parts, records, columns) if form == "xlsx" else _text(form, records, columns)
    return StreamingResponse(body, 200, headers, _TYPES[form])


async def _chosen(parts: Parts, viewer: Viewer, view: JobView, only: tuple[str, ...]) -> AsyncIterator[dict[str, Any]]:
    async for record in chosen_results(parts.services, view.id, only):
        yield _shown(record, viewer)


def _shown(record: dict[str, Any], viewer: Viewer) -> dict[str, Any]:
    """Return a row as this viewer may see it: who has the link can accept in the guest's place."""
    return record if viewer.can(Role.SUBMIT) else {**record, "redeem_url": ""}


async def _text(form: str, records: AsyncIterator[dict[str, Any]], columns: tuple[str, ...]) -> AsyncIterator[bytes]:
    """Yield a text, a few rows at a time."""
    if form == "csv":
        yield _write(form, [], columns)
    block: list[Mapping[str, Any]] = []
    async for record in records:
        block.append(record)
        if len(block) == _BLOCK:
            yield _write(form, block, columns, goes_on=True)
            block = []
    if block:
        yield _write(form, block, columns, goes_on=True)


def _write(form: str, records: list[Mapping[str, Any]], columns: tuple[str, ...], *, goes_on: bool = False) -> bytes:
    text = io.StringIO(newline="")
    if form == "jsonl":
        write_objects(({name: record.get(name) for name in columns} for record in records), text)
    else:
        table = results_table(records, columns)
        write_table(Table([], table.rows) if goes_on else table, text)
    return text.getvalue().encode("utf-8", "replace")


async def _sheet(
    parts: Parts, records: AsyncIterator[dict[str, Any]], columns: tuple[str, ...]
) -> AsyncIterator[bytes]:
    """Yield a workbook, which is written to a file without a name first: its table of contents is
    at its end.
    """
    loop = asyncio.get_running_loop()
    async with parts.readings.turn():
        with tempfile.TemporaryFile() as file:
            table = results_table(as_iterator(records, loop), columns)
            await asyncio.to_thread(write_workbook, table, file)
            file.seek(0)
            while block := file.read(_FILE_BLOCK):
                yield block
