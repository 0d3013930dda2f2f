"""A job that waits for approval is let go by somebody other than its submitter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from config.errors import ConfigError
from tasks.errors import Refusal
from tasks.forecast.approved import describe_approved
from worker.ledger.approval import refuse

if TYPE_CHECKING:
    from worker.ledger.approval import Person
    from worker.ledger.job_view import JobView
    from worker.services import Services


def refuse_approval(view: JobView, person: Person) -> None:
    """Raise `Refusal` for a job that does not wait for approval, or waits for somebody else's."""
    if not view.awaits_approval:
        raise Refusal(_not_waiting(view))
    if fault := refuse(view.id, view.info, person):
        raise Refusal(fault)


def describe_what_is_approved(services: Services, view: JobView, would: Mapping[str, int]) -> dict[str, Any]:
    """Return what is kept with the approval; `would`: rows by what a dry run said of them."""
    try:
        connection = services.connection(view.connection)
    except ConfigError:  # not known on this machine
        connection = None
    return describe_approved(view, connection, would)


async def approve_job(
    services: Services, view: JobView, person: Person, approved: Mapping[str, Any], *, pause_why: str = ""
) -> JobView:
    """Approve a job; returns how it stands. `pause_why`: it is paused instead. Raises `Refusal`."""
    refuse_approval(view, person)
    if not await services.jobs.approve(view, str(person), approved=approved, pause_why=pause_why):
        raise Refusal(
            f"Job {view.id} does not wait for approval any more: somebody was quicker. usher jobs show {view.id}"
        )
    return await services.jobs.view(view.id) or view


def _not_waiting(view: JobView) -> str:
    approver = view.info.get("approver")
    if approver:
        return f"Job {view.id} was approved already, by {approver}."
    return f"Job {view.id} does not wait for approval: it is {view.state.value}."
