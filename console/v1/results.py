"""How the rows of a job or a submission ended: page by page as JSON, or all of them as a file."""

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
from console.documents import Rows, RowsOfSubmission
from console.parts import Parts, PartsOf
from console.v1.answers import PROBLEMS, answer
from console.v1.jobs import JobId, find_view
from console.v1.submissions import SubmissionId, find_its
from tasks.producers import as_seen_by
from tasks.results.reading import as_iterator, chosen_results, results_of_all
from tasks.results.sheets import write_workbook
from tasks.results.table import Table, results_table, write_objects, write_table
from tasks.rows.fields import CONNECTION, RESULT_COLUMNS, stage_columns

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
    "/submissions/{submission}/rows",
    summary="Read rows of all jobs",
    operation_id="readRowsOfSubmission",
    responses={200: {"model": RowsOfSubmission}},
)
async def read_rows_of_all(
    parts: PartsOf,
    viewer: Viewing,
    submission: SubmissionId,
    after: Annotated[
        str | None, Query(pattern=r"^[a-z2-7]{10,16}-[0-9]{1,12}$", description="`next` of the page before.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many.")] = 500,
) -> Response:
    """Read rows as they stand, connection by connection, each connection's in their order."""
    found = await find_its(parts, viewer, submission)
    begins, _, behind = (after or "").partition("-")
    jobs = [view.id for view in found.views]
    rows: list[dict[str, Any]] = []
    told: dict[str, Any] = {"submission": found.id, "state": found.total.state.value, "rows": rows}
    for view in found.views[jobs.index(begins) if begins in jobs else 0 :]:
        since = int(behind) if view.id == begins else 0
        page = parts.services.jobs.rows.results(view.id, after=since, limit=limit - len(rows))
        rows += [{CONNECTION: view.connection, **_shown(record, viewer)} async for record in page]
        if len(rows) == limit:
            is_last = view is found.views[-1] and rows[-1]["row"] == view.counts.rows
            told |= {} if is_last else {"next": f"{view.id}-{rows[-1]['row']}"}
            break
    return answer(told)


_File = Annotated[Literal["csv", "jsonl", "xlsx"], Path(alias="format", description="csv, jsonl or xlsx.")]
_DOWNLOADED: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The results file, as `usher jobs results` writes it.",
        "content": {kind.partition(";")[0]: {"schema": {"type": "string"}} for kind in _TYPES.values()},
    }
}


@router.get(
    "/jobs/{job}/results.{format}",
    summary="Download results",
    operation_id="downloadResults",
    response_class=StreamingResponse,
    responses=_DOWNLOADED,
)
async def download_results(
    parts: PartsOf, viewer: Viewing, job: JobId, form: _File, only: _Only = None
) -> StreamingResponse:
    """Download how every row ended. The file can be fed back: only what failed is sent again."""
    view = await find_view(parts, viewer, job)
    records = chosen_results(parts.services, view.id, tuple(only or ()))
    return _download(parts, viewer, view.id, form, records, (*RESULT_COLUMNS, *stage_columns(view.stages)))


@router.get(
    "/submissions/{submission}/results.{format}",
    summary="Download results of all jobs",
    operation_id="downloadResultsOfSubmission",
    response_class=StreamingResponse,
    responses=_DOWNLOADED,
)
async def download_results_of_all(
    parts: PartsOf, viewer: Viewing, submission: SubmissionId, form: _File, only: _Only = None
) -> StreamingResponse:
    """Download how every row ended, with its connection first. The file can be fed back: only what
    failed is sent again, each row the same way.
    """
    found = await find_its(parts, viewer, submission)
    records = results_of_all(parts.services, found.views, tuple(only or ()))
    columns = (CONNECTION, *RESULT_COLUMNS, *stage_columns(found.total.stages))
    return _download(parts, viewer, found.id, form, records, columns)


def _download(
    parts: Parts, viewer: Viewer, name: str, form: str, records: AsyncIterator[dict[str, Any]], columns: tuple[str, ...]
) -> StreamingResponse:
    shown = (_shown(record, viewer) async for record in records)
    headers = {"Content-Disposition": f'attachment; filename="{name}.{form}"', "Cache-Control": "private, no-store"}
    body = _sheet(parts, shown, columns) if form == "xlsx" else _text(form, shown, columns)
    return StreamingResponse(body, 200, headers, _TYPES[form])


def _shown(record: dict[str, Any], viewer: Viewer) -> dict[str, Any]:
    """Return a row as this viewer may see it: who has the link can accept in the guest's place."""
    if viewer.bound is not None:
        return {**record, "error_message": as_seen_by(viewer.bound, record["error_message"])}
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
    """Yield a workbook, written to a nameless file first: its table of contents is at its end."""
    loop = asyncio.get_running_loop()
    async with parts.readings.turn():
        with tempfile.TemporaryFile() as file:
            table = results_table(as_iterator(records, loop), columns)
            await asyncio.to_thread(write_workbook, table, file)
            file.seek(0)
            while block := file.read(_FILE_BLOCK):
                yield block
