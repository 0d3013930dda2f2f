"""Why a job waits is told in the reader's language, with the ledger's own sentence below it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from console.pages.wordings import HOLDS, N_
from tasks.telling.waiting import find_limits, least_s
from tasks.telling.words import gate_words
from worker.ledger.approval import shown_submitter
from worker.ledger.model import JobState

if TYPE_CHECKING:
    from console.pages.page import Page
    from worker.ledger.gates import Gate
    from worker.ledger.job_view import JobView

Wait = tuple[str, str, str]
"""How grave (`bad`, `warn`, ``), what, and the ledger's words."""

_APPROVAL: Final = N_("Nothing is sent until somebody other than %(who)s has looked at it and approves it.")
_APPROVAL_ANYBODY: Final = N_("Nothing is sent until somebody else has looked at it and approves it.")
_REFUSALS: Final = N_(
    "So many rows were refused in a row that usher has stopped. Look at the failed rows below; then resume or cancel."
)
_PILOT: Final = N_("The pilot is over. Look at its rows below; resume sends the others.")
_PAUSED: Final = N_("The job is paused. Nothing of it is sent until it is resumed.")
_DRAINING: Final = N_("What is on the wire is still being answered.")
_SLOWED: Final = N_("Microsoft slows this tenant down. It goes on by itself in %(span)s.")
_AWAY: Final = N_("Microsoft does not answer as it should. usher tries again by itself.")
_NO_WORKER: Final = N_("No worker runs, so nothing is sent. Whoever runs usher starts one; the rows are safe.")


def not_before_ms(page: Page, *views: JobView) -> int:
    """Return when the last of these jobs ends at the earliest, by the quota; 0: nobody knows."""
    known = [(view, limits) for view in views if (limits := find_limits(page.services, view))]
    ends = (view.began_at.timestamp() + least_s(view, limits) for view, limits in known)
    return round(max(ends, default=0) * 1000)


async def find_waits(page: Page, view: JobView) -> list[Wait]:
    """Return what a job that has not ended waits for."""
    gate, now = view.gate, datetime.now(UTC)
    if view.awaits_approval:
        who = shown_submitter(view.info)
        return [("warn", page.say(_APPROVAL, who=who) if who else page.say(_APPROVAL_ANYBODY), "")]
    if view.state is JobState.PAUSED:
        more, is_pilot = page.say(_DRAINING) if view.open else "", view.why == "pilot"
        return [("warn", page.say(_PILOT if is_pilot else _PAUSED), more)]
    if view.state is JobState.HELD:
        if view.waits_for_a_person:
            return [("bad", page.say(_REFUSALS), view.why)]
        return [tell_gate(page, gate, now)]
    waits: list[Wait] = []
    if gate.closed_until and gate.closed_until > now:
        left = page.forms.span((gate.closed_until - now).total_seconds())
        waits.append(("", page.say(_SLOWED, span=left), gate.closed_why))
    elif gate.trouble:
        waits.append(("warn", page.say(_AWAY), gate.trouble))
    if view.state is JobState.RUNNING and not await page.services.jobs.workers():
        waits.append(("warn", page.say(_NO_WORKER), ""))
    return waits


def tell_gate(page: Page, gate: Gate, now: datetime) -> Wait:
    """Tell of a gate that is held: what that means, and its own words."""
    meaning = HOLDS.get(gate.kind, "") if gate.kind else ""
    return ("bad", page.say(meaning) if meaning else "", gate_words(gate, now))
