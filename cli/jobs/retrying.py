"""`usher jobs retry`: the rows that are tried again are sent like any other list."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from cli.follow.run import Run, get_ready
from cli.guests.changing import is_told_by_row
from cli.guests.flow import run_rows
from cli.invite.request import Request
from cli.invite.sending import send
from tasks.jobs.finding import find_job
from tasks.jobs.retrying import build_retry, refuse_retry
from tasks.rows.copied import open_copy
from tasks.submission.request import Request as Asked
from worker.ledger.audit.account import find_person
from worker.services import Services


async def retry_job(run: Run, services: Services, wanted: str, options: dict[str, Any]) -> int:
    """Send the rows of a job that failed or stayed in doubt, or a stage of which did, as a new job,
    and follow it.
    """
    view = await find_job(services, wanted)
    refuse_retry(view)
    await get_ready(run, services, view.connection)
    with open_copy() as file:
        asked, left_out = await build_retry(services, view, find_person().to_info(), file)
        if left_out:
            run.terminal.warn(left_out)
        if is_told_by_row(asked.operation):
            return await _retry_by_row(run, services, asked, options)
        shared = {one.name: getattr(asked, one.name) for one in fields(asked)}
        return await send(
            run, services, Request(**shared, **{key: options[key] for key in ("yes", "detach", "wait_s")})
        )


async def _retry_by_row(run: Run, services: Services, asked: Asked, options: dict[str, Any]) -> int:
    """Do to guests once more what was not done; without --yes show it, and do nothing."""
    return await run_rows(
        run,
        services,
        await services.resolved(asked.connection),
        asked.rows,
        operation=asked.operation,
        name=asked.name,
        info=asked.info,
        options=asked.options,
        dry=not options["yes"],
        **{key: options[key] for key in ("yes", "detach", "wait_s")},
    )
