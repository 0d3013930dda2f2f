"""`retry_failed` sends once more what failed in the jobs of a connection, each job's rows as one
new job.

A row goes again a few times at most (`times`), and only if it may end otherwise now: one that is
invalid, or of a domain that the connection's settings refuse, fails again whenever it is sent. Rows
in doubt may have been mailed, so they are left alone unless asked for. A job that was retried
already, by a person or by an earlier run, is not retried again: its retry is.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tasks.rows.copied import copy_refused, open_copy, options_again, read_copied
from tasks.scheduled.context import Context, Told
from tasks.scheduled.load_list import find_started, submit
from tasks.submit import Follows, job_id_of
from worker.channels import INVITE, name_channel
from worker.ledger.job_view import JobView
from worker.ledger.model import JobState, RowState

WITHIN_S = 7 * 86_400.0
TIMES = 3
_FOR_GOOD = frozenset({"blocked_domain"})
"""Codes of our own that say: this row was never sent, and would not be now."""


async def run(context: Context) -> Told:
    """Retry what may be retried."""
    in_doubt = bool(context.schedule.args.get("in_doubt", False))

    def may_end_otherwise(state: RowState, code: str) -> bool:
        return code not in _FOR_GOOD and (in_doubt or state is not RowState.LEFT_IN_DOUBT)

    started: list[str] = []
    rows = 0
    for view in await _find_jobs(context):
        job = job_id_of(Follows.RETRY, view.id)
        known = await find_started(context, job)
        if known is not None:
            continue
        with open_copy() as file:
            count, _ = await copy_refused(context.services.jobs.rows, view, file, may_end_otherwise)
            if not count:
                continue
            info = {**view.info, "retry_of": view.id, "round": _round(view.info) + 1}
            for name in ("by", "schedule", "list"):
                info.pop(name, None)
            told = await submit(
                context, job, read_copied(file), name=f"retry of {view.id}", options=options_again(view), info=info
            )
            rows += count
            started.extend(told.jobs)
    if not started:
        return Told("Nothing failed that may be tried again.")
    jobs = "1 job" if len(started) == 1 else f"{len(started)} jobs"
    return Told(
        f"{rows:,} {'row goes' if rows == 1 else 'rows go'} again, in {jobs}: {', '.join(started[:5])}.",
        jobs=tuple(started),
    )


async def _find_jobs(context: Context) -> list[JobView]:
    """Return the connection's invitations that ended lately with rows to be tried again, the oldest
    first. What is done to guests who are there a person repeats.
    """
    services, args = context.services, context.schedule.args
    since = context.now - timedelta(seconds=float(args.get("within", WITHIN_S)))
    times, in_doubt = int(args.get("times", TIMES)), bool(args.get("in_doubt", False))
    views = await services.jobs.submitted_since(since, name_channel(context.connection.name, INVITE))
    retried = {view.info.get("retry_of") for view in views}

    def may_be_tried(view: JobView) -> bool:
        rows = view.adds_up("failed", *(["in_doubt"] if in_doubt else []))
        return view.state is JobState.DONE and rows > 0 and _round(view.info) < times and view.id not in retried

    return [view for view in views if may_be_tried(view)]


def _round(info: dict[str, Any]) -> int:
    return int(info.get("round", 0))
