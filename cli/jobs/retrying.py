"""`usher jobs retry`: the rows that are tried again are sent like any other list."""

from __future__ import annotations

from typing import Any

from cli.follow.run import Run, get_ready
from cli.invite.request import Request
from cli.invite.sending import send
from cli.ui.errors import Refusal
from tasks.jobs.finding import find_job
from tasks.rows.copied import copy_refused, open_copy, options_again, read_copied
from worker.ledger.approval import SUBMITTER
from worker.ledger.audit.account import find_person
from worker.ledger.model import JobState
from worker.operations.registry import find_operation
from worker.services import Services


async def retry_job(run: Run, services: Services, wanted: str, options: dict[str, Any]) -> int:
    """Send the rows of a job that failed or stayed in doubt, or a stage of which did, as a new job,
    and follow it. What is done of a row is not done again.
    """
    view = await find_job(services, wanted)
    if not view.ended and view.state is not JobState.PAUSED:
        raise Refusal(
            f"Job {view.id} is still {view.state.value}: wait for its end, or pause it, before its failed rows are"
            " tried again."
        )
    if not view.adds_up("failed", "in_doubt"):
        raise Refusal(f"No row of job {view.id} failed or stayed in doubt; nothing was sent.")
    if find_operation(view.operation).guarded:
        raise Refusal(
            f"Job {view.id} invites nobody, so its rows are not tried again like invitations: give the same list to"
            f" usher guests {view.operation} once more, which does no harm to those who are done."
        )
    await get_ready(run, services, view.connection)
    # Whoever tries again submits, and is not approved by that.
    dropped = (*SUBMITTER, "approver", "approved_at", "sha256")
    info = {name: value for name, value in view.info.items() if name not in dropped} | find_person().to_info()
    with open_copy() as file:
        count, waiting = await copy_refused(services.jobs.rows, view, file)
        left_out = _tell_waiting(view.id, waiting) if waiting else ""
        if not count and waiting:
            raise Refusal(f"{left_out} Nothing was sent.")
        if not count:
            raise Refusal(
                f"The rows of job {view.id} that failed were refused for one of their cells, so nothing was sent: mend"
                " them in your list, and submit them with it."
            )
        if waiting:
            run.terminal.warn(left_out)
        request = Request(
            connection=view.connection,
            rows=read_copied(file),
            name=f"retry of {view.id}",
            operation=view.operation,
            options=options_again(view),
            info={**info, "list": f"retry of {view.id}", "retry_of": view.id},
            in_doubt_before=view.counts.in_doubt,
            accept_bad=True,  # they were accepted once
            **{key: options[key] for key in ("yes", "detach", "wait_s")},
        )
        return await send(run, services, request)


def _tell_waiting(job: str, rows: int) -> str:
    """Say which rows are left out: what they wait for would be done twice."""
    which = "1 row is left out: a stage of it" if rows == 1 else f"{rows:,} rows are left out: a stage of each"
    return f"{which} still waits in job {job}. Resume that job, and retry what has failed when it has ended."
