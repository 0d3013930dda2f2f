"""`usher jobs approve`: somebody other than the submitter looks at a waiting job, lets it go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.jobs.reviewing import show_review
from cli.jobs.several import approve_submission
from cli.jobs.showing import job_details
from cli.ui.confirming import confirm
from tasks.jobs.approving import approve_job, describe_what_is_approved, refuse_approval
from tasks.jobs.finding import find_job
from tasks.jobs.submissions import match_submission
from tasks.telling.words import many
from worker.ledger.approval import submitter_of
from worker.ledger.audit.account import find_person
from worker.ledger.model import JobState

if TYPE_CHECKING:
    from cli.ui.place import Place
    from cli.ui.terminal import Terminal
    from worker.ledger.job_view import JobView
    from worker.services import Services

_FOLLOWED_BY_NOBODY = "approved, and to be resumed"
"""Why an approved job of a private stack is paused: it runs there while a command follows it."""


async def approve(terminal: Terminal, place: Place, services: Services, wanted: str, *, yes: bool) -> int:
    """Approve a job. Raises `Refusal` for one's own, and for one that does not wait for it."""
    if submission := await match_submission(services, wanted):
        why = "" if place.runs_on else _FOLLOWED_BY_NOBODY
        return await approve_submission(terminal, services, submission, yes=yes, pause_why=why)
    view = await find_job(services, wanted)
    person = find_person()
    refuse_approval(view, person)
    asks = terminal.interactive and not yes
    would = await show_review(terminal, place, services, view) if asks else {}
    approved = describe_what_is_approved(services, view, would)
    if asks:
        terminal.show("", f"Digest of what is to be approved: {approved['digest']}")
        confirm(terminal, _question(view), "sent")
    pause_why = "" if place.runs_on else _FOLLOWED_BY_NOBODY
    after = await approve_job(services, view, person, approved, pause_why=pause_why)
    goes_on = f"It runs; to follow it: usher jobs watch {view.id}"
    if after.state is JobState.PAUSED:
        paused = "It stays paused, as it was. " if view.pause else ""
        goes_on = f"{paused}To send it: usher jobs resume {view.id}"
    terminal.show(f"Job {view.id} is approved by {person}. {goes_on}")
    if terminal.quiet:
        terminal.print_json({**job_details(after), "approver": str(person)})
    return 0


def _question(view: JobView) -> str:
    told = ", ".join(
        f"{name} {text}"
        for name, text in (
            ("list", view.info.get("list")),
            ("by", submitter_of(view.info)),
            ("because", view.info.get("reason")),
        )
        if text
    )
    rows = many(view.counts.pending, "row")
    return f"Approve job {view.id} ({told}): {rows} to be sent on {view.connection}."
