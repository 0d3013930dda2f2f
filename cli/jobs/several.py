"""What commands show of a job, or do to it, they show of, or do to, all jobs of a submission."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cli.follow.report import outcome_table
from cli.follow.together import connection_table, tell_results
from cli.ui.confirming import confirm, confirm_for_good
from cli.ui.terminal import Terminal, build_facts
from tasks.gone import gone_words
from tasks.jobs.submissions import Submission
from tasks.jobs.together import approve_all, cancel_all, delete_all, pause_all, refuse_approval_of_all
from tasks.telling.waiting import waiting_words
from tasks.telling.words import many, moment
from worker.ledger.approval import submitter_of
from worker.ledger.audit.account import find_person

if TYPE_CHECKING:
    from config.settings import Settings
    from worker.ledger.job_view import JobView
    from worker.services import Services


def show_submission(
    terminal: Terminal,
    settings: Settings,
    submission: Submission,
    more: Mapping[str, str] | None = None,
    told: Mapping[str, Any] | None = None,
) -> int:
    """Show all jobs of a submission: their sum, a line a connection, and what each waits for.
    `more`: facts beside, `told`: the same as `--json` tells them.
    """
    total = submission.total
    facts = {
        "Submission": submission.id,
        "State": total.state.value,
        "Rows": str(total.counts.rows),
        "List": str(total.info.get("list", "")),
        "SHA-256": str(total.info.get("sha256", "")),
        "By": submitter_of(total.info),
        "Approved": describe_approvers(submission.views),
        "Reason": str(total.info.get("reason", "")),
        "Since": moment(total.created_at),
        "Ended": moment(total.finished_at),
        **(more or {}),
    }
    table = build_facts((name, value) for name, value in facts.items() if value)
    terminal.show(table, "", outcome_table(total), "", connection_table(submission.views))
    for view in submission.views:
        if not view.ended and (words := gone_words(settings, view.connection) or waiting_words(view)):
            terminal.show(f"{view.connection}: {words}")
    tell_results(terminal, submission.id, total)
    return _finish(terminal, submission, told)


def describe_approvers(views: Sequence[JobView]) -> str:
    """Return who approved which of these jobs, by their connections, '' where nobody has. Pure."""
    whose: dict[str, list[str]] = {}
    for view in views:
        if approver := view.info.get("approver"):
            whose.setdefault(str(approver), []).append(view.connection)
    return "; ".join(f"by {approver} ({', '.join(names)})" for approver, names in whose.items())


async def move_submission(terminal: Terminal, services: Services, submission: Submission, verb: str) -> int:
    """Pause or cancel every job that has not ended. Raises `Refusal` where all have."""
    going_on = submission.going_on
    after = await (pause_all if verb == "pause" else cancel_all)(services, submission)
    left = after.total.counts.cancelled if verb == "cancel" else after.total.counts.pending
    what = "cancelled" if verb == "cancel" else "paused"
    rest = "will not be sent" if verb == "cancel" else "left"
    terminal.show(
        f"{many(len(going_on), 'job')} of {submission.id} {_is(going_on)} {what}, {many(left, 'row')} {rest}."
    )
    if verb == "pause":
        if waiting := [view for view in after.views if view.pause]:
            terminal.show(f"{len(waiting)} of them {'waits' if len(waiting) == 1 else 'wait'} for approval, too.")
        terminal.show(f"To go on: usher jobs resume {submission.id}")
    return _finish(terminal, after)


async def delete_submission(terminal: Terminal, services: Services, submission: Submission, *, yes: bool) -> int:
    """Remove all jobs of a submission for good; a person is asked first, a program says `yes`."""
    jobs = many(len(submission.views), "job")
    total, left = submission.total, sum(view.counts.pending for view in submission.going_on)
    state = f", {total.state.value} with {many(left, 'row')} left" if submission.going_on else ""
    rows = many(total.counts.rows, "row")
    question = f"Delete {submission.id} ({jobs}, {rows}{state}) and all of its results for good?"
    confirm_for_good(terminal, question, "deleted", yes=yes)
    await delete_all(services, submission)
    terminal.show(f"{jobs} of {submission.id} {_is(submission.views)} deleted.")
    if terminal.quiet:
        terminal.print_json({"submission": submission.id, "jobs": submission.jobs, "deleted": True})
    return 0


async def approve_submission(
    terminal: Terminal, services: Services, submission: Submission, *, yes: bool, pause_why: str
) -> int:
    """Approve every job that waits for approval, each as itself. Raises `Refusal` for one's own."""
    person = find_person()
    waiting = refuse_approval_of_all(submission, person)
    if terminal.interactive and not yes:
        terminal.show(connection_table(waiting))
        rows = many(sum(view.counts.pending for view in waiting), "row")
        confirm(terminal, f"Approve {many(len(waiting), 'job')} of {submission.id}: {rows} to be sent.", "sent")
    after = await approve_all(services, submission, person, pause_why=pause_why)
    paused = [view for view in waiting if view.pause]
    verb = "resume" if pause_why or paused else "watch"
    is_approved = f"{many(len(waiting), 'job')} of {submission.id} {_is(waiting)} approved by {person}."
    if paused:
        is_approved += f" {many(len(paused), 'job')} of them {_stay(paused)} paused, as before."
    terminal.show(f"{is_approved} To go on: usher jobs {verb} {submission.id}")
    return _finish(terminal, after)


def _stay(views: Sequence[Any]) -> str:
    return "stays" if len(views) == 1 else "stay"


def _is(views: Sequence[Any]) -> str:
    return "is" if len(views) == 1 else "are"


def _finish(terminal: Terminal, submission: Submission, told: Mapping[str, Any] | None = None) -> int:
    if terminal.quiet:
        terminal.print_json({**submission.describe(), **(told or {})})
    return 0
