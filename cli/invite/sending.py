"""Rows become a job that runs, and is followed to its end: sign in, load, report bad rows, tell the
plan, ask, start, follow.

`invite` and `jobs retry` both come through here. Until `start` nothing of it can be sent, and
whatever goes wrong removes the job again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cli.follow.run import Run, follow_and_report
from cli.invite.bad_rows import report_bad
from cli.invite.ceiling import refuse_too_many
from cli.invite.looking_ahead import look_ahead
from cli.invite.plan import Plan, build_plan, name_mailer
from cli.invite.request import Request
from cli.invite.stages import describe_stages, refuse_stages
from cli.ui.errors import Refusal
from cli.ui.terminal import Terminal, build_facts
from cli.ui.words import many
from tasks.forecast.targets import StageAhead, look_at_stages
from tasks.rows.row import BadRow, ValidRow
from tasks.submit import Loaded, drop, load, new_job_id, start
from worker.channels import INVITE
from worker.directory.questions import Tenant, ask_name
from worker.errors import TokenRefused, TokenUnavailable
from worker.operations.registry import find_operation

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.services import Services

_LOOK_EVERY_ROWS = 256


async def send(run: Run, services: Services, request: Request) -> int:
    """Do the whole of it; returns the exit status. Raises for whatever ends it before anything was
    accepted.
    """
    session, terminal = run.session, run.terminal
    connection = services.connection(request.connection)
    built_in = run.place.is_built_in(connection.name)
    tenant, roles = await sign_in(terminal, services, connection, fresh=request.dry_run)
    if request.dry_run:
        connection = await services.resolved(request.connection)
    job = new_job_id()
    await services.jobs.follow(job, os.getpid())
    loaded = await load(
        services.jobs,
        connection,
        _counted(request, terminal),
        job=job,
        options=request.options,
        info=request.info,
        pilot=request.pilot,
        operation=request.operation,
    )
    terminal.status("")
    if loaded is None:
        raise Refusal("A job of this id exists already; nothing was sent. Try again.")
    try:
        report_bad(terminal, request, loaded)
        terminal.status("Looking for what the list names")
        stages = await look_at_stages(services, connection, job, loaded.asked, roles)
        terminal.status("")
        refuse_stages(request, stages)
        await refuse_too_many(services, request, connection, loaded)
        if request.dry_run:
            return await _dry_run(run, services, request, connection, loaded, tenant, stages)
        plan = await _plan_ahead(run, services, connection, request, loaded, tenant, stages)
        _show_plan(terminal, request, plan)
        if not built_in:
            _ask(terminal, request, plan)
        if request.guests is not None:
            await services.jobs.add_info(loaded.loading, sha256=request.guests.sha256())
        session.accepted = job
        await start(services.jobs, loaded)
    except BaseException:
        session.accepted = ""
        await drop(services.jobs, loaded)
        raise
    terminal.tell(f"Job {job}")  # with --json too: whoever kills us has to know it
    return await follow_and_report(run, services, job, detach=request.detach, wait_s=request.wait_s)


async def sign_in(
    terminal: Terminal, services: Services, connection: Connection, *, fresh: bool
) -> tuple[Tenant | None, frozenset[str] | None]:
    """Take a token before anything is accepted: a refused credential ends the command here. Returns
    the tenant where it can be read, and the token's roles where they can.

    `fresh`: one that tells of the roles as they are now, for a run that judges by them.
    """
    try:
        token = await services.tokens.get(connection, fresh=fresh)
    except TokenUnavailable as error:
        terminal.warn(f"{error} The rows are accepted all the same and wait for it.")
        return None, None
    except TokenRefused as error:
        raise Refusal(f"Nothing was accepted or sent. {error}") from None
    return await ask_name(services, connection, token), token.roles


def _counted(request: Request, terminal: Terminal) -> Iterator[ValidRow | BadRow]:
    """Yield the rows, and show now and then how many there were."""
    for count, row in enumerate(request.rows, 1):
        if request.dry_run and isinstance(row, ValidRow):
            request.fields_seen.update(row.row)
        yield row
        if count % _LOOK_EVERY_ROWS == 0:
            terminal.count(f"Reading {request.name}: {many(count, 'row')}")


async def _plan(
    run: Run,
    services: Services,
    connection: Connection,
    request: Request,
    loaded: Loaded,
    tenant: Tenant | None,
    stages: Sequence[StageAhead],
) -> Plan:
    operation = find_operation(request.operation)
    return build_plan(
        loaded,
        connection.name,
        buckets=operation.buckets(services.settings(), connection),
        tenant_id=connection.tenant_id,
        tenant=tenant,
        gate=await services.gates.of(connection.name),
        jobs_before=await services.jobs.finished_jobs(connection.name),
        daily_limit=operation.daily_limit(connection),
        rehearsal=run.place.is_built_in(connection.name),
        needs_approval=connection.require_approval,
        in_doubt_before=request.in_doubt_before,
        mailed_by=name_mailer(connection),
        stages=stages,
        operation=operation,
    )


async def _plan_ahead(
    run: Run,
    services: Services,
    connection: Connection,
    request: Request,
    loaded: Loaded,
    tenant: Tenant | None,
    stages: Sequence[StageAhead],
) -> Plan:
    """Tell the plan without those who are there already, unless nobody reads it."""
    if run.terminal.quiet:
        return await _plan(run, services, connection, request, loaded, tenant, stages)
    run.terminal.status("Looking who is there already")
    ahead = await look_ahead(services, connection, loaded, request.options, stages, request.operation)
    run.terminal.status("")
    plan = await _plan(run, services, connection, request, ahead.loaded, tenant, ahead.stages)
    return replace(plan, known=ahead.known, refused=ahead.refused, at_most=ahead.at_most)


def _show_plan(terminal: Terminal, request: Request, plan: Plan) -> None:
    table = build_facts([*request.describe_reading(with_sample=terminal.live), *plan.lines()])
    if request.dry_run:
        terminal.show(table)
    else:
        terminal.say(table)
    for risk in plan.risks:
        terminal.warn(risk)


async def _dry_run(
    run: Run,
    services: Services,
    request: Request,
    connection: Connection,
    loaded: Loaded,
    tenant: Tenant | None,
    stages: Sequence[StageAhead],
) -> int:
    """Say what would happen, remove the loaded job again; returns the exit status."""
    from cli.invite.dry_run import describe, look
    from cli.ui.tally import show

    terminal = run.terminal
    forecast = await look(run, services, request, connection, loaded, stages)
    await drop(services.jobs, loaded)
    plan = await _plan(run, services, connection, request, forecast.loaded, tenant, forecast.stages)
    risks = (*plan.risks, *forecast.risks)
    plan = replace(plan, known=forecast.known, refused=forecast.refused, risks=risks)
    _show_plan(terminal, request, plan)
    show(terminal, forecast)
    if request.output:
        terminal.show("", f"Every row with what would become of it is in {request.output}.")
    return _end_dry_run(terminal, request, plan, describe(forecast))


def _end_dry_run(terminal: Terminal, request: Request, plan: Plan, foreseen: dict[str, Any]) -> int:
    terminal.say("Nothing was sent (--dry-run).")
    told: dict[str, Any] = {"to_send": plan.to_send, "mails": plan.mails, "members": plan.members}
    told |= {"tenant": plan.tenant, "seconds": round(plan.seconds, 1)}
    if plan.stages:
        told["stages"] = describe_stages(plan.stages)
    operation = {} if request.operation == INVITE else {"operation": request.operation}
    job = {"job": None, "connection": request.connection, **operation, "state": "cancelled", **plan.counts}
    terminal.finish({**job, "plan": {**told, **foreseen, "risks": list(plan.risks)}})
    return 1 if plan.bad or plan.blocked or plan.refused else 0


def _ask(terminal: Terminal, request: Request, plan: Plan) -> None:
    """Ask once, where somebody is there. Raises `Refusal` for anything but a yes."""
    if request.yes or not terminal.interactive:
        return
    if not plan.accepts(terminal.ask(plan.question)):
        raise Refusal("Not confirmed; nothing was sent.")
