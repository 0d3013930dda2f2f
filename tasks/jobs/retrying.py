"""The rows of a job that failed or stayed in doubt, or a stage of which did, become a request of
their own. What is done of a row is not done again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, TYPE_CHECKING

from tasks.errors import Refusal
from tasks.rows.copied import copy_refused, options_again, read_copied
from tasks.submission.request import Request
from worker.ledger.approval import SUBMITTER
from worker.ledger.model import JobState
from worker.operations.registry import find_operation

if TYPE_CHECKING:
    from worker.ledger.job_view import JobView
    from worker.services import Services

_DROPPED = (*SUBMITTER, "approver", "approved_at", "sha256", "producer")
"""Whoever tries again submits, and is not approved by that."""


def refuse_retry(view: JobView) -> None:
    """Raise `Refusal` for a job of which nothing is to be tried again."""
    if not view.ended and view.state is not JobState.PAUSED:
        raise Refusal(
            f"Job {view.id} is still {view.state.value}: wait for its end, or pause it, before its failed rows are"
            " tried again."
        )
    if not view.adds_up("failed", "in_doubt"):
        raise Refusal(f"No row of job {view.id} failed or stayed in doubt; nothing was sent.")
    if instead := find_operation(view.operation).once_more:
        raise Refusal(f"The rows of job {view.id} are not tried again by themselves: {instead}.")


async def build_retry(
    services: Services, view: JobView, submitter: Mapping[str, str], file: IO[str]
) -> tuple[Request, str]:
    """Return the request, and a sentence about rows that are left out, '' where none is. `file`
    holds the rows for as long as the request is read. Raises `Refusal`.
    """
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


def _tell_waiting(job: str, rows: int) -> str:
    """Say which rows are left out: what they wait for would be done twice."""
    which = "1 row is left out: a stage of it" if rows == 1 else f"{rows:,} rows are left out: a stage of each"
    return f"{which} still waits in job {job}. Resume that job, and retry what has failed when it has ended."
