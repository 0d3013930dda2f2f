"""Rows become a job that runs, and is followed to its end: sign in, load, report bad rows, tell the
plan, ask, start, follow.

`invite` and `jobs retry` both come through here. Until `start` nothing of it can be sent, and
whatever goes wrong removes the job again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from cli.follow.follow_and_report import follow_and_report
from cli.follow.run import Run, dropping_unless_started
from cli.invite.bad_rows import report_bad
from cli.invite.request import Request
from cli.ui.confirming import is_confirmed
from cli.ui.terminal import Terminal, build_facts
from tasks.errors import Refusal
from tasks.forecast.plan import Plan
from tasks.forecast.targets import look_at_stages
from tasks.rows.row import BadRow, ValidRow
from tasks.submission.ceiling import refuse_too_many
from tasks.submission.planning import plan, plan_ahead
from tasks.submission.preparing import Prepared, SignedIn
from tasks.submission.preparing import sign_in as take_token
from tasks.submission.refusing import refuse_stages
from tasks.submit import drop, load, new_job_id, start
from tasks.telling.words import many

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.services import Services

_LOOK_EVERY_ROWS = 256


async def send(run: Run, services: Services, request: Request) -> int:
    """Do the whole of it; returns the exit status. Raises what ends it before rows are accepted."""
    session, terminal = run.session, run.terminal
    connection = services.connection(request.connection)
    signed_in = await sign_in(terminal, services, connection, fresh=request.dry_run)
    if request.dry_run:
        connection = await services.resolved(request.connection)
    job = new_job_id()
    await services.jobs.follow(job, os.getpid())
    loaded = await load(
        services.jobs,
        connection,
        counted(request, terminal),
        job=job,
        options=request.options,
        info=request.info,
        pilot=request.pilot,
        operation=request.operation,
    )
    terminal.status("")
    async with dropping_unless_started(run, partial(drop, services.jobs, loaded)):
        report_bad(terminal, request, loaded)
        terminal.status("Looking for what the list names")
        stages = await look_at_stages(services, connection, job, loaded.asked, signed_in.roles)
        terminal.status("")
        refuse_stages(request, stages)
        await refuse_too_many(services, request, connection, loaded)
        prepared = Prepared(connection, loaded, stages, signed_in)
        if request.dry_run:
            return await _dry_run(terminal, services, request, prepared)
        told = await _plan(terminal, services, request, prepared)
        _show_plan(terminal, request, told)
        if not run.place.is_built_in(connection.name):
            _ask(terminal, request, told)
        if request.guests is not None:
            await services.jobs.add_info(loaded.loading, sha256=request.guests.sha256())
        session.accepted = job
        await start(services.jobs, loaded)
    terminal.tell(f"Job {job}")  # with --json too: whoever kills us has to know it
    return await follow_and_report(run, services, job, detach=request.detach, wait_s=request.wait_s)


async def sign_in(terminal: Terminal, services: Services, connection: Connection, *, fresh: bool) -> SignedIn:
    """Take a token before anything is accepted: a refused credential ends the command here. That
    there is none now is told.
    """
    signed_in = await take_token(services, connection, fresh=fresh)
    if signed_in.waits:
        terminal.warn(signed_in.waits)
    return signed_in


def counted(request: Request, terminal: Terminal) -> Iterator[ValidRow | BadRow]:
    """Yield the rows, and show now and then how many there were."""
    for count, row in enumerate(request.rows, 1):
        if request.dry_run and isinstance(row, ValidRow):
            request.fields_seen.update(row.row)
        yield row
        if count % _LOOK_EVERY_ROWS == 0:
            terminal.count(f"Reading {request.name}: {many(count, 'row')}")


async def _plan(terminal: Terminal, services: Services, request: Request, prepared: Prepared) -> Plan:
    """Tell the plan without those who are there already, unless nobody reads it."""
    if terminal.quiet:
        return await plan(services, request, prepared)
    terminal.status("Looking who is there already")
    told = await plan_ahead(services, request, prepared)
    terminal.status("")
    return told


def _show_plan(terminal: Terminal, request: Request, plan: Plan) -> None:
    table = build_facts([*request.describe_reading(with_sample=terminal.live), *plan.lines()])
    if request.dry_run:
        terminal.show(table)
    else:
        terminal.say(table)
    for risk in plan.risks:
        terminal.warn(risk)


async def _dry_run(terminal: Terminal, services: Services, request: Request, prepared: Prepared) -> int:
    """Say what would happen, remove the loaded job again; returns the exit status."""
    from cli.invite.dry_run import look, tell_written
    from cli.ui.tally import show
    from tasks.forecast.dry_run import describe_dry_run

    told, forecast = await look(terminal, services, request, prepared)
    await drop(services.jobs, prepared.loaded)
    _show_plan(terminal, request, told)
    show(terminal, forecast)
    tell_written(terminal, request)
    terminal.say("Nothing was sent (--dry-run).")
    terminal.finish(describe_dry_run(told, forecast))
    return 1 if told.bad or told.blocked or told.refused else 0


def _ask(terminal: Terminal, request: Request, plan: Plan) -> None:
    """Ask once, where somebody is there. Raises `Refusal` for anything but a yes."""
    if request.yes or not terminal.interactive:
        return
    if not is_confirmed(terminal, plan):
        raise Refusal("Not confirmed; nothing was sent.")
