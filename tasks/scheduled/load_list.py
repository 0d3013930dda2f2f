"""A scheduled list becomes a job, once: loaded, looked at, started."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tasks.errors import InputError, JobExists
from tasks.rows.row import BadRow, ValidRow
from tasks.scheduled.context import Context, Told
from tasks.submit import Loaded, dropping, load, start
from worker.ledger.job_view import JobView
from worker.ledger.model import JobState, Options

if TYPE_CHECKING:
    from tasks.lists.guest_list import GuestList


async def find_started(context: Context, job: str) -> JobView | None:
    """Return the job if an earlier attempt of this run started it; one half loaded is removed."""
    jobs = context.services.jobs
    view = await jobs.view(job)
    if view is not None and view.state is JobState.LOADING:
        # The run's claim is ours: whoever was loading it has gone
        return None if await jobs.drop(job) else await jobs.view(job)
    return view


async def submit(
    context: Context,
    job: str,
    rows: Iterable[ValidRow | BadRow],
    *,
    name: str,
    options: Options,
    info: dict[str, Any],
    strict: bool = False,
    guests: GuestList | None = None,
) -> Told:
    """Load rows, those of the list `guests` if there is one, and start them. Raises `InputError`
    where nothing of them can be sent.
    """
    jobs = context.services.jobs
    told = {"by": f"schedule {context.schedule.name}", "schedule": context.schedule.name, "list": name}
    try:
        loaded = await load(jobs, context.connection, rows, job=job, options=options, info=told | info)
    except JobExists:
        return Told(f"Job {job} is there already.", jobs=(job,))
    async with dropping(jobs, loaded):
        is_whole = guests is None or guests.is_whole
        _refuse(loaded, name, strict=strict, is_whole=is_whole)
        await start(jobs, loaded)
    what = f"Job {job} took in {_rows(loaded.rows)} of {name}."
    more = ""
    if unsent := loaded.bad_count + loaded.blocked:
        more += f" {_rows(unsent)} cannot be sent: usher jobs results {job} --only failed."
    if not is_whole:
        more += " Cells of it cannot be used and were left out: usher invite with --dry-run names their columns."
    view = await jobs.view(job)
    if view is not None and view.awaits_approval:
        more += f" It waits for somebody's approval: usher jobs approve {job}."
    return Told(what + more, "attention" if more else "ok", (job,))


def _refuse(loaded: Loaded, name: str, *, strict: bool, is_whole: bool) -> None:
    if not loaded.rows:
        raise InputError(f"{name} holds no rows; nothing was sent.")
    if strict and loaded.bad_count:
        raise InputError(
            f"{_rows(loaded.bad_count)} of {name} cannot be sent, and the schedule is strict; nothing was sent."
        )
    if strict and not is_whole:
        raise InputError(f"Cells of {name} cannot be used, and the schedule is strict; nothing was sent.")
    if not loaded.to_send:
        raise InputError(f"None of {_rows(loaded.rows)} of {name} can be sent; nothing was sent.")


def _rows(count: int) -> str:
    return f"{count:,} row" if count == 1 else f"{count:,} rows"
