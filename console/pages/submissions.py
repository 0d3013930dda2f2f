"""*Submission*: a list that went through several connections; how each tenant's job stands, why it
waits, and what to do about all of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.datastructures import FormData

from config.errors import ConfigError
from console.pages import wordings
from console.pages.page import Approving, Page, Submitting, Viewing
from console.pages.reviewing import MOST_FIELDS, read_would, review
from console.pages.waiting import find_waits, not_before_ms
from console.problems import Problem
from tasks.errors import ListError, Refusal
from tasks.jobs import together
from tasks.jobs.retrying import build_retry_of_all, choose_retried
from tasks.jobs.submissions import Submission, find_submission, no_such_submission
from tasks.submission.several import Several
from tasks.submission.splitting import Split
from worker.errors import UsherError
from worker.ledger.approval import shown_submitter
from worker.ledger.job_view import JobView
from worker.ledger.model import JobState

router = APIRouter(include_in_schema=False)
_VERBS: Final = {"pause": together.pause_all, "resume": together.resume_all, "cancel": together.cancel_all}


@dataclass(frozen=True, slots=True)
class Line:
    """A tenant's job, and what it waits for in a sentence of the reader's, '' where it simply
    runs; `detail`: the ledger's own.
    """

    view: JobView
    waits: str = ""
    detail: str = ""


@router.get("/submissions/{submission}")
async def show_submission(page: Viewing, submission: str, look: str = "") -> Response:
    """Show a submission; to whoever is to approve jobs of it, what would become of their rows where
    that is asked.
    """
    return await _show(page, await _find(page, submission), looks=bool(look))


@router.get("/submissions/{submission}/now")
async def show_now(page: Viewing, submission: str) -> Response:
    """Show how its jobs stand, as a part of its page."""
    found = await _find(page, submission)
    if not page.is_part:
        return page.go(f"/submissions/{found.id}")
    return page.show("submission_now.html", **await _now(page, found))


@router.post("/submissions/{submission}/approve")
async def approve(page: Approving, submission: str, request: Request) -> Response:
    """Let each of its jobs run that waits for approval, as it was looked at."""
    async with request.form(max_fields=MOST_FIELDS) as form:
        return await _do_with(page, submission, lambda found: _approve(page, found, form))


@router.post("/submissions/{submission}/retry")
async def retry(page: Submitting, submission: str) -> Response:
    """Try again what failed in any of its jobs, as a new submission, and go on to that."""
    return await _do_with(page, submission, lambda found: _retry(page, found))


@router.post("/submissions/{submission}/{verb}")
async def move(page: Submitting, submission: str, verb: str) -> Response:
    """Pause its jobs, let them go on, or cancel the rest of them."""
    if verb not in _VERBS:
        raise Problem(404, "There is nothing at this address.")
    return await _do_with(page, submission, lambda found: _move(page, found, verb))


async def _do_with(page: Page, submission: str, work: Callable[[Submission], Awaitable[str]]) -> Response:
    """Do something with a submission, go on to what came of it; a refusal is told beside it."""
    try:
        other = await work(await _find(page, submission))
    except (Refusal, ListError, ConfigError, UsherError) as refusal:
        return await _show(page, await _find(page, submission), str(refusal), 409)
    return page.go(f"/submissions/{other}")


async def _approve(page: Page, submission: Submission, form: FormData) -> str:
    would = {view.id: read_would(form, view.id) for view in submission.views}
    await together.approve_all(page.services, submission, page.viewer.person, would)
    await _follow(page, submission)
    return submission.id


async def _move(page: Page, submission: Submission, verb: str) -> str:
    await _VERBS[verb](page.services, submission)
    if verb == "resume":
        await _follow(page, submission)
    return submission.id


async def _retry(page: Page, submission: Submission) -> str:
    """Return the new submission."""
    if not page.may_repeat(*submission.views):
        raise Problem(403, page.say(wordings.ONLY_OPERATORS))
    views, _ = choose_retried(submission)
    with Split([view.connection for view in views]) as split:
        request, _ = await build_retry_of_all(page.services, submission, views, page.viewer.to_info(), split)
        several = Several(page.services, request, split)
        async with page.parts.loads.turn():
            await several.submit(page.parts.follow)
    return several.id


def _can_retry(page: Page, submission: Submission) -> bool:
    try:
        choose_retried(submission)
    except (Refusal, ConfigError):
        return False
    return page.may_repeat(*submission.views)


async def _follow(page: Page, submission: Submission) -> None:
    for view in submission.going_on:
        await page.parts.follow(view.id)


async def _find(page: Page, submission: str) -> Submission:
    try:
        found = await find_submission(page.services, submission)
    except Refusal as refusal:
        raise Problem(404, str(refusal)) from None
    if found is None or not all(page.viewer.sees(view.info) for view in found.views):
        raise Problem(404, no_such_submission(submission))
    return found


async def _show(
    page: Page, submission: Submission, refused: str = "", status: int = 200, *, looks: bool = False
) -> Response:
    now, total = await _now(page, submission, looks=looks), submission.total
    named = "; ".join(f"{name} {', '.join(names)}" for name, names in total.info.get("named", {}).items())
    facts = [
        (page.say(name), str(text or ""))
        for name, text in (
            (wordings.N_("Submission"), submission.id),
            (wordings.N_("By"), shown_submitter(total.info)),
            (wordings.N_("Why"), total.info.get("reason")),
            (wordings.N_("For all rows"), named),
            (wordings.N_("Sent"), page.forms.moment(total.created_at)),
            (wordings.N_("Ended"), page.forms.moment(total.finished_at) if total.finished_at else ""),
            (wordings.N_("Approved by"), _approvers(submission)),
            (wordings.N_("SHA-256 of the list"), total.info.get("sha256")),
        )
    ]
    return page.show("submission.html", status, **now, refused=refused, facts=facts)


def _approvers(submission: Submission) -> str:
    """Tell who approved jobs of it, each person once, with the connections."""
    approved: dict[str, list[str]] = {}
    for view in submission.views:
        if approver := view.info.get("approver"):
            approved.setdefault(str(approver), []).append(view.connection)
    return "; ".join(f"{', '.join(names)}: {approver}" for approver, names in approved.items())


async def _now(page: Page, submission: Submission, *, looks: bool = False) -> dict[str, Any]:
    total = submission.total
    waiting = [view for view in submission.views if view.awaits_approval]
    is_quiet = total.state is JobState.RUNNING  # else each line says what its job waits for
    return {
        "submission": submission,
        "view": total,
        "lines": [await _line(page, view) for view in submission.views],
        "not_before_ms": not_before_ms(page, *submission.going_on),
        "counts": wordings.list_counts(total),
        "waits": await find_waits(page, total) if is_quiet and not total.ended else [],
        "awaits_approval": waiting,
        "review": await review(page, waiting, looks=looks) if waiting else None,
        "can_pause": any(
            view.state in (JobState.RUNNING, JobState.HELD) and not view.pause for view in submission.going_on
        ),
        "can_resume": any(view.state is JobState.PAUSED or _is_stopped(view) for view in submission.going_on),
        "can_retry": _can_retry(page, submission),
        "seen": " ".join(f"{view.state.value}|{view.why}" for view in (total, *submission.views)),
    }


def _is_stopped(view: JobView) -> bool:
    return bool(view.pause) or (view.waits_for_a_person and not view.awaits_approval)


async def _line(page: Page, view: JobView) -> Line:
    stands = view.gate.held or view.gate.closed_until or view.gate.trouble or view.state is not JobState.RUNNING
    waits = await find_waits(page, view) if stands and not view.ended else []
    return Line(view, waits[0][1], waits[0][2]) if waits else Line(view)
