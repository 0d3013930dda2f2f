"""The rows of a job that failed or stayed in doubt, or a stage of which did, become a request of
their own. What is done of a row is not done again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import IO, TYPE_CHECKING

from tasks.errors import Refusal
from tasks.forecast.several import say_once
from tasks.jobs.tenant import refuse_other_tenant
from tasks.rows.copied import copy_refused, open_copy, options_again, read_copied
from tasks.submission.request import Request
from worker.channels import NOBODYS
from worker.ledger.approval import SUBMITTER
from worker.ledger.lists.submissions import SUBMISSION
from worker.ledger.model import JobState
from worker.operations.registry import find_operation

if TYPE_CHECKING:
    from tasks.jobs.submissions import Submission
    from tasks.submission.splitting import Split
    from worker.ledger.job_view import JobView
    from worker.services import Services

_DROPPED = (*SUBMITTER, "approver", "approved_at", "sha256", "order", "taken_in", "producer", SUBMISSION)
"""Whoever tries again submits, and is not approved by that; nor does it come to the submission that
the job belongs to.
"""


def refuse_retry(view: JobView) -> None:
    """Raise `Refusal` for a job of which nothing is to be tried again."""
    if not view.ended and view.state is not JobState.PAUSED:
        raise Refusal(
            f"Job {view.id} is still {view.state.value}: wait for its end, or pause it, before its failed rows are"
            " tried again."
        )
    if not view.adds_up("failed", "in_doubt"):
        raise Refusal(f"No row of job {view.id} failed or stayed in doubt; nothing was sent.")
    if view.connection == NOBODYS:
        raise Refusal(_told_nobodys(f"job {view.id}"))
    if instead := find_operation(view.operation).once_more:
        raise Refusal(f"The rows of job {view.id} are not tried again by themselves: {instead}.")


async def build_retry(
    services: Services, view: JobView, submitter: Mapping[str, str], file: IO[str]
) -> tuple[Request, str]:
    """Return the request, and a sentence about rows that are left out, '' where none is. `file`
    holds the rows for as long as the request is read. Raises `Refusal`.
    """
    await refuse_other_tenant(services, view)
    info = {name: value for name, value in view.info.items() if name not in _DROPPED} | dict(submitter)
    count, waiting = await copy_refused(services.jobs.rows, view, file)
    left_out = _tell_waiting(view.id, waiting) if waiting else ""
    if not count and waiting:
        raise Refusal(f"{left_out} Nothing was sent.")
    if not count:
        raise Refusal(
            f"The rows of job {view.id} that failed were refused for one of their cells, so nothing was sent: mend"
            " them in your list, and submit them with it."
        )
    request = Request(
        connection=view.connection,
        rows=read_copied(file),
        name=f"retry of {view.id}",
        operation=view.operation,
        options=options_again(view),
        info={**info, "list": f"retry of {view.id}", "retry_of": view.id},
        in_doubt_before=view.counts.in_doubt,
        accept_bad=True,  # they were accepted once
    )
    return request, left_out


def choose_retried(submission: Submission) -> tuple[list[JobView], list[tuple[str, str]]]:
    """Return the jobs of a submission of which something can be tried again, and connection and
    sentence of those of which it cannot now. Raises `Refusal` where there are none.
    """
    failed = [view for view in submission.views if view.adds_up("failed", "in_doubt")]
    if not failed:
        raise Refusal(f"No row of {submission.id} failed or stayed in doubt; nothing was sent.")
    failed = [view for view in failed if view.connection != NOBODYS]
    if not failed:
        raise Refusal(_told_nobodys(submission.id))
    chosen: list[JobView] = []
    left: list[tuple[str, str]] = []
    for view in failed:
        try:
            refuse_retry(view)
            chosen.append(view)
        except Refusal as refusal:
            left.append((view.connection, str(refusal)))
    if not chosen:
        raise Refusal(" ".join(say_once(left)))
    return chosen, left


async def build_retry_of_all(
    services: Services, submission: Submission, views: Sequence[JobView], submitter: Mapping[str, str], split: Split
) -> tuple[Request, list[tuple[str, str]]]:
    """Put the rows of these jobs into `split`, each to its connection's; return the request that
    they are, without them, and connection and sentence of rows that are left out. Raises `Refusal`
    where none is there.
    """
    request: Request | None = None
    left: list[tuple[str, str]] = []
    for view in views:
        with open_copy() as file:
            try:
                one, left_out = await build_retry(services, view, submitter, file)
            except Refusal as refusal:
                left.append((view.connection, str(refusal)))
                continue
            left += [(view.connection, left_out)] if left_out else []
            for row in one.rows:
                split.put(row, view.connection)
        request = replace(one, in_doubt_before=one.in_doubt_before + (request.in_doubt_before if request else 0))
    if request is None:
        raise Refusal(" ".join(say_once(left)))
    name = f"retry of {submission.id}"
    info = {**request.info, "list": name, "retry_of": submission.id}
    return replace(request, rows=(), name=name, info=info), left


def _told_nobodys(name: str) -> str:
    return (
        f"The rows of {name} that failed are no connection's that was chosen, so nothing was sent: mend them in your"
        " list, and submit them with it."
    )


def _tell_waiting(job: str, rows: int) -> str:
    """Say which rows are left out: what they wait for would be done twice."""
    which = "1 row is left out: a stage of it" if rows == 1 else f"{rows:,} rows are left out: a stage of each"
    return f"{which} still waits in job {job}. Resume that job, and retry what has failed when it has ended."
