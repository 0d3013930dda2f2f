"""`usher jobs list` and `show`: how jobs stand."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from cli.follow.report import outcome_table, show_troubled
from cli.jobs.reviewing import show_whom
from cli.jobs.several import show_submission
from cli.ui.place import Place, is_alone, pause_left_behind
from cli.ui.terminal import Terminal, build_facts, build_table
from config.errors import ConfigError
from tasks.checks.installation import tell_problem
from tasks.forecast.several import say_once
from tasks.gone import gone_words
from tasks.guests.acceptance import Acceptance, count_accepted, count_accepted_of_all
from tasks.jobs.finding import find_job
from tasks.jobs.loading import tell_who_loads
from tasks.jobs.submissions import Submission, list_together, match_submission
from tasks.messages.views import describe_job
from tasks.telling.stages import open_stages
from tasks.telling.waiting import waiting_words
from tasks.telling.words import many, moment, number
from worker.channels import name_operation
from worker.errors import UsherError
from worker.ledger.approval import read_approved, submitter_of
from worker.ledger.job_view import JobView
from worker.ledger.lists.submissions import SUBMISSION
from worker.ledger.model import JobState
from worker.ledger.programs.running_programs import seen
from worker.services import Services
from worker.stack.attachment import read_status


async def list_jobs(terminal: Terminal, place: Place, services: Services, newest: int) -> int:
    """Show the newest jobs, a line each; those of one submission are one line."""
    await _tidy(place, services)
    if terminal.quiet:
        listed = await services.jobs.listed(newest=newest)
        terminal.print_json({"jobs": [job_details(view) for view in listed]})
        return 0
    alone = is_alone(place)
    views = [await tell_who_loads(services, view, alone=alone) for view in await list_together(services, newest)]
    if not views:
        terminal.show("No jobs yet.")
        return 0
    headings: tuple[str, ...] = (
        "Job",
        "Connection",
        "State",
        "Rows",
        "Invited",
        "Guests",
        "Skipped",
        "Failed",
        "In doubt",
        "Left",
        "Since",
        "List",
    )
    staged = any(open_stages(view) for view in views)
    if staged:
        headings = (*headings[:-2], "Stages", *headings[-2:])
    cancelled = any(view.counts.cancelled for view in views)
    if cancelled:
        headings = (*headings[:10], "Cancelled", *headings[10:])
    rows = []
    for view in views:
        c = view.counts
        told = [c.rows, c.done, c.already, c.skipped, c.failed, c.in_doubt, c.pending]
        told += [c.cancelled] if cancelled else []
        counts = [number(n) if n else "" for n in told]
        source = str(view.info.get("list") or view.info.get("by") or "")
        stages = [", ".join(open_stages(view))] if staged else []
        rows.append([view.id, view.connection, view.state.value, *counts, *stages, moment(view.created_at), source])
    right = headings[3 : 11 if cancelled else 10]
    if any(name_operation(view.operation) for view in views):
        right = tuple(_OF_ANY.get(heading, heading) for heading in right)
        headings = (*headings[:2], "Operation", *(_OF_ANY.get(heading, heading) for heading in headings[2:]))
        for view, row in zip(views, rows, strict=True):
            row.insert(2, view.operation)
    terminal.show(build_table(headings, rows, right=right))
    for view in views:
        if view.state is JobState.LOADING and view.why:
            terminal.warn(f"{view.id} is loading: {view.why}.")
    return 0


_OF_ANY = {"Invited": "Done", "Guests": "Already"}
"""What two headings are called where not all jobs invite."""


async def show_job(terminal: Terminal, place: Place, services: Services, wanted: str, *, accepted: bool) -> int:
    """Show all that is known of one job; where it is asked for, how many have accepted since."""

    await _tidy(place, services)
    if submission := await match_submission(services, wanted):
        return await _show_submission(terminal, place, services, submission, accepted=accepted)
    view = await tell_who_loads(services, await find_job(services, wanted), alone=is_alone(place))
    since = await _count_accepted(terminal, place, services, view) if accepted else None
    if terminal.quiet:
        told = {} if since is None else {"accepted": {"unread": since} if isinstance(since, str) else asdict(since)}
        terminal.print_json({**job_details(view), **told})
        return 0
    looked_at = read_approved(view.info)
    given = asdict(replace(view.options, deliver=None))  # which nobody gives: it is settled with the job
    options = {name: value for name, value in given.items() if value not in (None, False)}
    options |= {name: "; ".join(names) for name, names in view.info.get("named", {}).items()}
    facts = {
        "Job": view.id,
        "Connection": view.connection,
        "Operation": name_operation(view.operation),
        "State": view.state.value + (f" ({view.why})" if view.why and view.state is not JobState.HELD else ""),
        "Submission": str(view.info.get(SUBMISSION, "")),
        "Rows": number(view.counts.rows),
        "List": str(view.info.get("list", "")),
        "SHA-256": str(view.info.get("sha256", "")),
        "By": submitter_of(view.info),
        "Task": str(view.info.get("task", "")),
        "Approved": f"by {view.info['approver']}" if view.info.get("approver") else "",
        "Looked at": looked_at.get("would", ""),
        "Digest": looked_at.get("digest", ""),
        "Reason": str(view.info.get("reason", "")),
        "Retry of": str(view.info.get("retry_of", "")),
        "Undo of": str(view.info.get("undo_of", "")),
        "Given": ", ".join(name if value is True else f"{name} {value}" for name, value in options.items()),
        "usher": str(view.info.get("usher", "")),
        "Since": moment(view.created_at),
        "Ended": moment(view.finished_at),
        "On the way": many(view.open, "row") if view.open else "",
        "Accepted": _acceptance_words(since) if isinstance(since, Acceptance) else "",
    }
    table = build_facts((name, value) for name, value in facts.items() if value)
    terminal.show(table, "", outcome_table(view))
    if isinstance(since, str):
        terminal.warn(f"How many have accepted cannot be told: {since}")
    if view.awaits_approval:
        await show_whom(terminal, services, view)
    if not view.ended:
        if words := gone_words(services.settings(), view.connection) or waiting_words(view):
            terminal.show("", words)
        for program in await seen(services.jobs):
            if program.problem:
                terminal.warn(tell_problem(program))
    if view.adds_up("failed", "in_doubt"):
        await show_troubled(terminal, services, view)
    return 0


async def _show_submission(
    terminal: Terminal, place: Place, services: Services, submission: Submission, *, accepted: bool
) -> int:
    """Show all jobs of a submission; where it is asked for, how many guests have accepted since."""
    if not accepted:
        return show_submission(terminal, services.settings(), submission)
    for view in submission.views:
        place.need_sandbox(view.connection)
    since, unread = await count_accepted_of_all(
        services, submission.views, lambda n: terminal.count(f"{number(n)} guests looked up")
    )
    terminal.status("")
    for sentence in say_once(unread):
        terminal.warn(f"How many have accepted cannot be told of {sentence}")
    told = {**asdict(since), "unread": [{"connection": name, "why": why} for name, why in unread]}
    more = {"Accepted": _acceptance_words(since)}
    return show_submission(terminal, services.settings(), submission, more, {"accepted": told})


async def _count_accepted(terminal: Terminal, place: Place, services: Services, view: JobView) -> Acceptance | str:
    """Return how many have accepted since, or a sentence why nobody can tell."""
    try:
        place.need_sandbox(view.connection)
        return await count_accepted(services, view, lambda n: terminal.count(f"{number(n)} guests looked up"))
    except (UsherError, ConfigError) as error:
        return str(error)
    finally:
        terminal.status("")


def _acceptance_words(since: Acceptance) -> str:
    rest = {"pending": "pending", "unknown": "unknown", "gone": "no longer in the tenant"}
    told = [f"{number(n)} {words}" for name, words in rest.items() if (n := getattr(since, name))]
    return ", ".join([f"{number(since.accepted)} of {many(since.guests, 'guest')} until now", *told])


async def _tidy(place: Place, services: Services) -> None:
    """On a private stack without a worker nothing runs, so nothing is to be shown as running."""
    status = read_status() if place.private and not place.up else None
    if status is not None and "worker" not in status.children and set(status.commands) <= {os.getpid()}:
        await pause_left_behind(place, services)


def job_details(view: JobView) -> dict[str, Any]:
    """Return a job as `--json` tells of it."""
    return {
        **describe_job(view),
        "created_at": view.created_at.isoformat(timespec="seconds"),
        "finished_at": view.finished_at.isoformat(timespec="seconds") if view.finished_at else None,
        "elapsed_s": round(((view.finished_at or datetime.now(UTC)) - view.began_at).total_seconds(), 3),
        "info": view.info,
        **({"wait": dict(view.stage_waits)} if view.stage_waits else {}),
    }
