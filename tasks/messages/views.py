"""A job is told of over the wire by ids, counts and verdicts; never by an address or a link."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.producers import as_seen_by
from tasks.rows.fields import ERROR_OF
from worker.channels import describe_operation
from worker.ledger.job_view import JobView
from worker.masking import mask_text
from worker.plain_word import plain_word
from worker.services import Services

if TYPE_CHECKING:
    from config.console import Producer

_PRIVATE = ("email", "display_name", "redeem_url")


def describe_job(view: JobView) -> dict[str, Any]:
    """Return a job's state and counts: the keys of `--json`, without the clock's."""
    return {
        "job": view.id,
        "connection": view.connection,
        **describe_operation(view.operation),
        "state": view.state.value,
        "why": view.why,
        **view.told(),
    }


async def view_of(services: Services, job: str) -> dict[str, Any]:
    """Return `describe_job` of a job, or a refusal when there is none."""
    view = await services.jobs.view(job)
    if view is None:
        return no_such_job(job)
    return {**describe_job(view), "created_at": view.created_at.isoformat(timespec="seconds")}


def public_record(record: dict[str, Any]) -> dict[str, Any]:
    """Return a result row as it may travel. Why a stage failed may name a sponsor's address."""
    shown = {name: value for name, value in record.items() if name not in _PRIVATE}
    return {name: mask_text(value) if name.endswith(ERROR_OF) else value for name, value in shown.items()}


def seen_by(producer: Producer | None, told: dict[str, Any]) -> dict[str, Any]:
    """Return what is told of a row as its sender may read it."""
    why = told.get("error_message")
    return {**told, "error_message": as_seen_by(producer, why)} if why else told


async def outcome_of(services: Services, job: str) -> dict[str, Any]:
    """Return the outcome of a job of one row, or `{"status": "pending", "job", "row", "why"}`."""
    async for record in services.jobs.rows.results(job, limit=1):
        if record["status"] != "pending":
            # Its status first: Flower's list cuts a result short
            return {"status": record["status"], "job": job, **public_record(record)}
    view = await services.jobs.view(job)
    if view is None:
        return no_such_job(job)
    return pending(job, _why(view))


def pending(job: str, why: str) -> dict[str, Any]:
    """Return what is told of a single guest who has no outcome yet."""
    return {"status": "pending", "job": job, "row": 1, "why": why}


def no_such_job(job: str) -> dict[str, Any]:
    """Return the refusal for an id that no job has."""
    return {
        "status": "refused",
        "errors": [f"There is no job {plain_word(job)}: it never was, or it has been deleted or has expired."],
    }


def _why(view: JobView) -> str:
    if view.why:
        return view.why
    if view.gate.closed_until:
        return view.gate.closed_why
    if view.gate.trouble:
        return view.gate.trouble
    if view.open:
        return "Microsoft's answer is still awaited, or was lost and the directory is being asked."
    return "It waits for its turn within the tenant's quota."
