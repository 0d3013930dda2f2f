"""`usher jobs approve`: somebody other than the submitter looks at a job that waits, and lets it
go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.jobs.reviewing import show_review
from cli.jobs.showing import job_details
from cli.ui.confirming import confirm
from cli.ui.errors import Refusal
from cli.ui.words import many
from config.errors import ConfigError
from tasks.forecast.approved import describe_approved
from tasks.jobs.finding import find_job
from worker.ledger.approval import refuse, submitter_of
from worker.ledger.audit.account import find_person

if TYPE_CHECKING:
    from cli.ui.place import Place
    from cli.ui.terminal import Terminal
    from config.connections import Connection
    from worker.ledger.job_view import JobView
    from worker.services import Services

_FOLLOWED_BY_NOBODY = "approved, and to be resumed"
"""Why an approved job of a private stack is paused: nothing of it runs there that no command
follows.
"""


async def approve(terminal: Terminal, place: Place, services: Services, wanted: str, *, yes: bool) -> int:
    """Approve a job. Raises `Refusal` for one's own, and for one that does not wait for it."""
    view = await find_job(services, wanted)
    if not view.awaits_approval:
        raise Refusal(_not_waiting(view))
    person = find_person()
    if fault := refuse(view.id, view.info, person):
        raise Refusal(fault)
    asks = terminal.interactive and not yes
    would = await show_review(terminal, place, services, view) if asks else {}
    approved = describe_approved(view, _find_connection(services, view), would)
    if asks:
        terminal.show("", f"Digest of what is to be approved: {approved['digest']}")
        confirm(terminal, _question(view), "sent")
    pause_why = "" if place.runs_on else _FOLLOWED_BY_NOBODY
    if not await services.jobs.approve(view, str(person), approved=approved, pause_why=pause_why):
        raise Refusal(
            f"Job {view.id} does not wait for approval any more: somebody was quicker. usher jobs show {view.id}"
        )
    after = await services.jobs.view(view.id) or view
    goes_on = f"It runs; to follow it: usher jobs watch {view.id}"
    if not place.runs_on:
        goes_on = f"To send it: usher jobs resume {view.id}"
    terminal.show(f"Job {view.id} is approved by {person}. {goes_on}")
    if terminal.quiet:
        terminal.print_json({**job_details(after), "approver": str(person)})
    return 0


def _find_connection(services: Services, view: JobView) -> Connection | None:
    """Return the job's connection; None where this machine does not know it."""
    try:
        return services.connection(view.connection)
    except ConfigError:
        return None


def _not_waiting(view: JobView) -> str:
    approver = view.info.get("approver")
    if approver:
        return f"Job {view.id} was approved already, by {approver}."
    return f"Job {view.id} does not wait for approval: it is {view.state.value}."


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
