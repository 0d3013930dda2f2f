"""What a job did to guests is undone from its page, after a look at what that comes to."""

from __future__ import annotations

from typing import IO

from fastapi import APIRouter, Request
from fastapi.responses import Response

from config.version import read_version
from console.pages.changing import look_at_change
from console.pages.jobs import do_with
from console.pages.page import Operating, Page
from tasks.guests.undoing import copy_done, read_undone, refuse_undo
from tasks.jobs.tenant import refuse_other_tenant
from tasks.rows.copied import open_copy
from tasks.submission.preparing import Prepared, prepare
from tasks.submission.request import Request as Asked
from tasks.submit import drop, new_job_id, start
from worker.ledger.job_view import JobView

router = APIRouter(include_in_schema=False)


@router.post("/jobs/{job}/undo")
async def undo(page: Operating, job: str, request: Request) -> Response:
    """Show what undoing a job would come to; with `sure`, undo it, as a new job."""
    sure = bool((await request.form()).get("sure"))
    return await do_with(page, job, lambda view: _undo(page, view) if sure else _look_at_undo(page, view))


async def _look_at_undo(page: Page, view: JobView) -> Response:
    services = page.services
    with open_copy() as file:
        prepared = await _prepare_undo(page, view, new_job_id(), file, dry=True)
        try:
            seen = await look_at_change(services, prepared)
        finally:
            await drop(services.jobs, prepared.loaded)
    return page.show(
        "change.html",
        operation="undo",
        action=f"/jobs/{view.id}/undo",
        hidden=[("sure", "yes")],
        back=f"/jobs/{view.id}",
        seen=seen,
        grave=False,
        needs_approval=prepared.connection.require_approval,
    )


async def _undo(page: Page, view: JobView) -> str:
    """Return the new job."""
    job = new_job_id()
    await page.parts.follow(job)
    with open_copy() as file:
        prepared = await _prepare_undo(page, view, job, file, dry=False)
    await start(page.services.jobs, prepared.loaded)
    return job


async def _prepare_undo(page: Page, view: JobView, job: str, file: IO[str], *, dry: bool) -> Prepared:
    refuse_undo(view)
    await refuse_other_tenant(page.services, view)
    await copy_done(page.services, view, file)
    info = {**page.viewer.to_info(), "list": f"undo of {view.id}", "usher": read_version(), "undo_of": view.id}
    asked = Asked(view.connection, read_undone(file), f"undo of {view.id}", "undo", info=info)
    async with page.parts.loads.turn():
        return await prepare(page.services, asked, job, dry=dry)
