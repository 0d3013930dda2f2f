"""*Jobs* and *Job*: which lists were sent, how each stands, why it waits, how every row ended, and
what to do about it.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response
from starlette.background import BackgroundTask
from starlette.datastructures import UploadFile

from config.errors import ConfigError
from console.access.viewer import Role
from console.pages import wordings
from console.pages.asking import clean_name
from console.pages.page import Approving, Page, Submitting, Viewing
from console.pages.reviewing import read_would, review
from console.pages.waiting import find_waits, not_before_ms
from console.problems import Problem
from console.v1.bodies import MOST_LIST
from tasks.errors import ListError, Refusal
from tasks.guests.undoing import refuse_undo
from tasks.jobs import approving, moving, retrying
from tasks.jobs.finding import find_job
from tasks.lists.options import ListOptions
from tasks.results.reading import as_iterator, chosen_results
from tasks.results.write import Wanted, write_results
from tasks.rows.copied import open_copy
from tasks.submission.preparing import prepare
from tasks.submit import new_job_id, start
from worker.errors import UsherError
from worker.ledger.approval import read_approved, shown_submitter
from worker.ledger.job_view import JobView
from worker.ledger.lists.submissions import SUBMISSION

router = APIRouter(include_in_schema=False)

_A_PAGE: Final = 50
_MOST_BACK: Final = 10_000
_ROWS: Final = 50
_LOOKED_AT: Final = 20_000
"""Rows looked through for one answer; a link goes on from there."""


@dataclass(frozen=True, slots=True)
class Found:
    """Rows that were looked for. `next`: where to go on, `looked_at`: up to which row was looked, 0
    where all were.
    """

    rows: list[dict[str, Any]] = field(default_factory=list, repr=False)
    ended: str = ""
    q: str = ""
    next: str = ""
    looked_at: int = 0

    @property
    def more(self) -> bool:
        """Whether there may be more."""
        return bool(self.next)


@router.get("/jobs")
async def list_jobs(page: Viewing, request: Request) -> Response:
    """Show the newest jobs."""
    text = request.query_params.get("from", "1")
    first = min(int(text), _MOST_BACK) if text.isdecimal() and int(text) else 1
    views = await page.services.jobs.listed(newest=first + _A_PAGE)
    shown = [
        view for view in views[first - 1 : first - 1 + _A_PAGE] if page.viewer.sees(view.info) and not view.is_going
    ]
    more = len(views) >= first + _A_PAGE
    submissions = {view.id: name for view in shown if (name := view.info.get(SUBMISSION))}
    return page.show("jobs.html", views=shown, submissions=submissions, newest=first, most=_A_PAGE, more=more)


@router.get("/jobs/{job}")
async def show_job(page: Viewing, job: str, look: str = "") -> Response:
    """Show one job; to its approver, where that is asked, what would become of its rows."""
    return await _show(page, await _find(page, job), looks=bool(look))


@router.get("/jobs/{job}/now")
async def show_now(page: Viewing, job: str) -> Response:
    """Show how a job stands, as a part of its page."""
    view = await _find(page, job)
    if not page.is_part:
        return page.go(f"/jobs/{view.id}")
    return page.show("job_now.html", **await _now(page, view))


@router.get("/jobs/{job}/rows")
async def show_rows(page: Viewing, job: str, request: Request) -> Response:
    """Show the rows that ended so, or that hold a text."""
    view = await _find(page, job)
    found = await _rows(page, view, dict(request.query_params))
    template = "job_rows.html" if page.is_part else "rows.html"
    return page.show(template, view=view, found=found, outcomes=_outcomes(page, view))


@router.post("/jobs/{job}/beside")
async def give_back(page: Viewing, job: str, request: Request) -> Response:
    """Give somebody's own list back, with the outcomes beside it."""
    view = await _find(page, job)
    async with request.form(max_files=1, max_fields=5) as form:
        sent = form.get("list")
        if not isinstance(sent, UploadFile) or not sent.filename or (sent.size or 0) > MOST_LIST:
            return await _show(page, view, page.say(_NO_FILE), 422)
        name = clean_name(sent.filename)
        folder = tempfile.TemporaryDirectory(prefix="usher-")
        own, result = Path(folder.name, "own" + Path(name).suffix[:8]), Path(folder.name, "with-outcomes")
        try:
            await asyncio.to_thread(_copy, sent.file, own)
            options = ListOptions.from_dict(view.info.get("read", {}))
            loop = asyncio.get_running_loop()
            wanted = Wanted("", result.with_suffix(_ending(own)), (), own, options, stages=tuple(view.stages))
            results = partial(chosen_results, page.services, view.id, ())
            await asyncio.to_thread(write_results, wanted, lambda: as_iterator(results(), loop))
        except ListError as error:
            folder.cleanup()
            return await _show(page, view, str(error), 422)
        except BaseException:
            folder.cleanup()
            raise
    assert wanted.output is not None
    called = f"{Path(name).stem}-with-outcomes{wanted.output.suffix}"
    return FileResponse(wanted.output, filename=called, background=BackgroundTask(folder.cleanup))


@router.post("/jobs/{job}/approve")
async def approve_job(page: Approving, job: str, request: Request) -> Response:
    """Let somebody else's job run, as it was looked at."""
    form = await request.form()
    return await do_with(page, job, lambda view: _approve(page, view, read_would(form, view.id)))


@router.post("/jobs/{job}/retry")
async def retry_job(page: Submitting, job: str) -> Response:
    """Try again what failed, as a new job, and go on to that."""
    return await do_with(page, job, lambda view: _retry(page, view))


@router.post("/jobs/{job}/{verb}")
async def move_job(page: Submitting, job: str, verb: str) -> Response:
    """Pause a job, let it go on, or cancel the rest of it."""
    if verb not in ("pause", "resume", "cancel"):
        raise Problem(404, "There is nothing at this address.")
    return await do_with(page, job, lambda view: _move(page, view, verb))


async def do_with(page: Page, job: str, work: Any) -> Response:
    """Do something with a job, and go on to what came of it; a refusal is told beside it."""
    view = await _find(page, job)
    try:
        other = await work(view)
    except (Refusal, ListError, ConfigError, UsherError) as refusal:
        return await _show(page, await _find(page, job), str(refusal), 409)
    return other if isinstance(other, Response) else page.go(f"/jobs/{other or view.id}")


async def _find(page: Page, job: str) -> JobView:
    try:
        view = await find_job(page.services, job)
    except Refusal as refusal:
        raise Problem(404, str(refusal)) from None
    if not page.viewer.sees(view.info):
        raise Problem(404, "There is no such job.")
    return view


async def _show(page: Page, view: JobView, refused: str = "", status: int = 200, *, looks: bool = False) -> Response:
    now = await _now(page, view, looks=looks)
    found = await _rows(page, view, {})
    facts = _facts(page, view)
    return page.show(
        "job.html",
        status,
        **now,
        refused=refused,
        found=found,
        facts=facts,
        outcomes=_outcomes(page, view),
        submission=view.info.get(SUBMISSION, ""),
    )


async def _now(page: Page, view: JobView, *, looks: bool = False) -> dict[str, Any]:
    waits = [] if view.ended else await find_waits(page, view)
    shown = await review(page, [view], looks=looks) if view.awaits_approval else None
    can_undo = page.viewer.can(Role.OPERATE) and _can_undo(view)
    return {
        "can_undo": can_undo,
        "may_repeat": page.may_repeat(view),
        "view": view,
        "counts": wordings.list_counts(view),
        "waits": waits,
        "review": shown,
        "not_before_ms": not_before_ms(page, view),
    }


async def _rows(page: Page, view: JobView, said: Mapping[str, str]) -> Found:
    ended, q = said.get("ended", ""), said.get("q", "").strip()[:200]
    after = int(text) if (text := said.get("after", "0")).isdecimal() and len(text) < 10 else 0
    needle = q.casefold()
    rows: list[dict[str, Any]] = []
    last = after
    async for record in page.services.jobs.rows.results(view.id, after=after):
        if len(rows) == _ROWS or last - after >= _LOOKED_AT:
            further = urlencode({"ended": ended, "q": q, "after": last})
            looked_at = last if last - after >= _LOOKED_AT else 0
            return Found(rows, ended, q, f"/jobs/{view.id}/rows?{further}", looked_at)
        last = record["row"]
        if _is_so(record, ended, tuple(view.stages)) and (not needle or _holds(record, needle)):
            rows.append(record)
    return Found(rows, ended, q)


def _is_so(record: Mapping[str, Any], ended: str, stages: tuple[str, ...]) -> bool:
    if not ended:
        return True
    return ended in (record["status"], *(record.get(f"{stage}_status") for stage in stages))


def _holds(record: Mapping[str, Any], needle: str) -> bool:
    return any(needle in str(record.get(name) or "").casefold() for name in ("email", "display_name", "ref"))


def _outcomes(page: Page, view: JobView) -> list[tuple[str, str]]:
    names = [name for name, _ in wordings.list_counts(view)]
    names += [name for name in ("done", "already") if view.stages and name not in names]
    return [(name, page.say(wordings.OUTCOMES[name])) for name in names]


def _facts(page: Page, view: JobView) -> list[tuple[str, str]]:
    info, looked_at = view.info, read_approved(view.info)
    moment = page.forms.moment
    named = "; ".join(f"{name} {', '.join(names)}" for name, names in info.get("named", {}).items())
    return [
        (page.say(name), str(text or ""))
        for name, text in (
            (wordings.N_("Job"), view.id),
            (wordings.N_("Connection"), view.connection),
            (wordings.N_("By"), shown_submitter(info)),
            (wordings.N_("Why"), info.get("reason")),
            (wordings.N_("For all rows"), named),
            (wordings.N_("Sent"), moment(view.created_at)),
            (wordings.N_("Ended"), moment(view.finished_at) if view.finished_at else ""),
            (wordings.N_("Approved by"), info.get("approver")),
            (wordings.N_("Digest"), looked_at.get("digest")),
            (wordings.N_("Tries again"), info.get("retry_of")),
            (wordings.N_("SHA-256 of the list"), info.get("sha256")),
        )
    ]


async def _approve(page: Page, view: JobView, would: Mapping[str, int]) -> None:
    services, person = page.services, page.viewer.person
    approving.refuse_approval(view, person)
    approved = approving.describe_what_is_approved(services, view, would)
    await approving.approve_job(services, view, person, approved)
    await page.parts.follow(view.id)


async def _move(page: Page, view: JobView, verb: str) -> None:
    if verb == "pause":
        await moving.pause_job(page.services, view)
    elif verb == "cancel":
        await moving.cancel_job(page.services, view)
    else:
        await moving.resume_job(page.services, view)
        await page.parts.follow(view.id)


async def _retry(page: Page, view: JobView) -> str:
    """Return the new job."""
    if not page.may_repeat(view):
        raise Problem(403, page.say(wordings.ONLY_OPERATORS))
    services, job = page.services, new_job_id()
    retrying.refuse_retry(view)
    with open_copy() as file:
        request, _ = await retrying.build_retry(services, view, page.viewer.to_info(), file)
        await page.parts.follow(job)
        prepared = await prepare(services, request, job)
    await start(services.jobs, prepared.loaded)
    return job


def _can_undo(view: JobView) -> bool:
    try:
        refuse_undo(view)
    except (Refusal, ConfigError):
        return False
    return True


def _copy(source: Any, to: Path) -> None:
    source.seek(0)
    with to.open("wb") as file:
        while block := source.read(1 << 20):
            file.write(block)


def _ending(own: Path) -> str:
    return own.suffix if own.suffix.lower() in (".csv", ".xlsx", ".jsonl", ".ndjson") else ".csv"


_NO_FILE: Final = wordings.N_("Choose the file that was sent.")
