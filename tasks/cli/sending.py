"""From rows to a job that runs, and to its end: sign in, load, report bad rows, tell the plan, ask, start, follow.

`invite` and `jobs retry` both come through here. Until `start` nothing of it can be sent, and whatever goes wrong removes the job again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tasks.checks import Tenant, fetch_tenant
from tasks.cli.errors import Refusal
from tasks.cli.follow import End
from tasks.cli.following import Followed, follow
from tasks.cli.interrupts import Interrupts
from tasks.cli.place import Place, pause_left_behind
from tasks.cli.plan import Plan, build_plan
from tasks.cli.planned import check_list, check_plan, describe_age
from tasks.cli.report import report
from tasks.cli.session import Session
from tasks.cli.terminal import Terminal, build_table
from tasks.cli.words import many, number, utc_now
from tasks.rows import BadRow, ValidRow
from tasks.submit import Loaded, drop, load, new_job_id, start
from tasks.views import describe_job
from worker.errors import TokenUnavailable
from worker.job_view import JobView
from worker.model import Options
from worker.quota import invitation_buckets

if TYPE_CHECKING:
    from rich.table import Table

    from config import Connection
    from tasks.lists import GuestList
    from tasks.plan_file import Plan as PlanFile
    from worker.services import Services

WAIT_S = 900.0
"""How long a command without a terminal waits through a hold that may end by itself."""
_SHOWN_BAD = 20
MOST_BAD_SHARE = 0.05
"""More bad rows than this stop a list: so many typing errors nobody makes, the column or the separator is wrong. Not where they are
few enough to be shown one by one (`_SHOWN_BAD`): in a small list two errors are 10 %, and whoever reads them knows what they are."""
_STATUS_EVERY_S = 0.2
_LOOK_EVERY_ROWS = 256


@dataclass(slots=True)
class Request:
    """What is to be sent, and how the command is to behave."""

    connection: str
    rows: Iterable[ValidRow | BadRow]
    name: str  # of the list, for the line that counts while reading
    options: Options = field(default_factory=Options)
    info: dict[str, Any] = field(default_factory=dict)
    pilot: int = 0
    strict: bool = False
    dry_run: bool = False
    yes: bool = False
    detach: bool = False
    wait_s: float | None = None
    in_doubt_before: int = 0
    guests: GuestList | None = None  # the file that the rows come from
    accept_bad: bool = False
    output: str = ""  # of a dry run: where the list or the plan goes
    source: tuple[str, ...] = ()  # a file, or addresses
    path: str = ""  # of the file, absolute
    sha256: str = ""  # of a list that a plan is made of, or run with
    given: dict[str, Any] = field(default_factory=dict)  # options as a plan keeps them
    plan: PlanFile | None = None
    fields_seen: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Run:
    """What belongs together for the length of one command that runs a job."""

    session: Session
    terminal: Terminal
    interrupts: Interrupts
    place: Place

    def patience_s(self, wait_s: float | None) -> float | None:
        """How long to wait through a hold: as asked, else for ever where somebody watches, else 15 minutes."""
        if wait_s is not None:
            return wait_s
        return None if self.terminal.live else WAIT_S


async def get_ready(run: Run, services: Services, connection: str, own: str = "") -> None:
    """Name what earlier commands left behind, then have a worker. `own`: the job that is to run. Raises `StackError`."""
    for warning in run.place.warnings:
        run.terminal.warn(warning)
    name_unfinished(run.terminal, await pause_left_behind(run.place, services, own))
    run.place.need_worker(connection)


def name_unfinished(terminal: Terminal, views: Sequence[JobView]) -> None:
    """Say which jobs of earlier commands wait to be resumed."""
    if not views:
        return
    told = ", ".join(
        f"{view.id} ({view.state.value}, {number(view.counts.pending)} of {many(view.counts.rows, 'row')} left)"
        for view in views[:3]
    )
    more = f" and {number(len(views) - 3)} more" if len(views) > 3 else ""
    verb = "approve" if all(view.awaits_approval for view in views) else "resume"
    example = f"usher jobs {verb} {views[0].id}" if len(views) == 1 else f"usher jobs {verb} ID"
    terminal.warn(f"{many(len(views), 'unfinished job')} from before: {told}{more}. To go on:", example)


async def send(run: Run, services: Services, request: Request) -> int:
    """Do the whole of it; returns the exit status. Raises for whatever ends it before anything was accepted."""
    session, terminal = run.session, run.terminal
    connection = services.connection(request.connection)
    tenant = await _sign_in(terminal, services, connection)
    job = new_job_id()
    await services.jobs.follow(job, os.getpid())
    verdicts = None
    if request.plan:
        verdicts = check_plan(services, request, connection)
        if warning := describe_age(request.plan, utc_now()):
            terminal.warn(warning)
    loaded = await load(
        services.jobs,
        connection,
        _counted(request, terminal),
        job=job,
        options=request.options,
        info=request.info,
        pilot=request.pilot,
        verdicts=verdicts,
    )
    terminal.status("")
    if loaded is None:
        raise Refusal("A job of this id exists already; nothing was sent. Try again.")
    try:
        _report_bad(terminal, request, loaded)
        if request.plan:
            check_list(request, loaded)
        if request.dry_run:
            return await _dry_run(run, services, request, connection, loaded, tenant)
        plan = await _plan(services, connection, request, loaded, tenant)
        _show_plan(terminal, request, plan)
        if connection.require_approval:
            terminal.warn(
                f"Connection {connection.name} requires approval: the job waits until somebody else approves it."
            )
        if not is_rehearsal(services, connection):
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


async def follow_and_report(
    run: Run, services: Services, job: str, *, detach: bool = False, wait_s: float | None = None, pauses: bool = True
) -> int:
    """Follow an accepted job and say how it stands in the end; returns the exit status."""
    session, terminal, place = run.session, run.terminal, run.place
    session.accepted = job
    while True:
        if detach:
            view = await services.jobs.view(job)
            if view is not None:
                session.last = describe_job(view)
                if not view.ended:
                    await services.jobs.unfollow(job)
                    terminal.show(f"Left running: usher jobs watch {job}")
                    terminal.finish(session.last)
                    return 3
        followed = await follow(
            session, terminal, run.interrupts, place, services, job, wait_s=run.patience_s(wait_s), pauses=pauses
        )
        status = await report(session, terminal, services, followed, runs_on=place.runs_on)
        if not _goes_on_after_pilot(terminal, followed):
            return status
        await services.jobs.resume(job)


def _goes_on_after_pilot(terminal: Terminal, followed: Followed) -> bool:
    if followed.end is not End.PILOT or followed.by or followed.view is None or not terminal.interactive:
        return False
    question = f"Send the other {many(followed.view.counts.pending, 'row')} now? [y/N]"
    return terminal.ask(question).lower() in ("y", "yes")


async def _sign_in(terminal: Terminal, services: Services, connection: Connection) -> Tenant | None:
    """Take a token before anything is accepted: a refused credential ends the command here. Returns the tenant where it can be read."""
    try:
        token = await services.tokens.get(connection)
    except TokenUnavailable as error:
        terminal.warn(f"{error} The rows are accepted all the same and wait for it.")
        return None
    return await fetch_tenant(services, connection, token.secret.reveal())


def _counted(request: Request, terminal: Terminal) -> Iterator[ValidRow | BadRow]:
    """Yield the rows, and show now and then how many there were."""
    shown_s = time.monotonic()
    for count, row in enumerate(request.rows, 1):
        if request.dry_run and isinstance(row, ValidRow):
            request.fields_seen.update(row.row)
        yield row
        if count % _LOOK_EVERY_ROWS == 0 and (now_s := time.monotonic()) - shown_s >= _STATUS_EVERY_S:
            shown_s = now_s
            terminal.status(f"Reading {request.name}: {many(count, 'row')}")


def _report_bad(terminal: Terminal, request: Request, loaded: Loaded) -> None:
    """Report what is wrong with the list. Raises `Refusal` where that means that nothing is sent."""
    for warning in request.guests.warnings if request.guests else ():
        terminal.warn(warning)
    for row in loaded.bad[:_SHOWN_BAD]:
        terminal.warn(f"{row}.")
    if loaded.bad_count > _SHOWN_BAD:
        terminal.warn(f"{number(loaded.bad_count - _SHOWN_BAD)} more bad rows; the results hold all of them.")
    if not loaded.rows:
        raise Refusal(f"{request.name} holds no rows; nothing was sent.")
    if request.strict and loaded.bad_count:
        raise Refusal(f"{many(loaded.bad_count, 'row')} cannot be sent, and --strict was given; nothing was sent.")
    if not loaded.to_send:
        _show_reading(terminal, request)
        raise Refusal(_nothing_good(loaded))
    if _too_many_bad(request, loaded):
        _show_reading(terminal, request)
        share = f"{100 * loaded.bad_count / loaded.rows:.0f} %"
        raise Refusal(
            f"{number(loaded.bad_count)} of {many(loaded.rows, 'row')} cannot be sent, {share}. More than {100 * MOST_BAD_SHARE:.0f} % is "
            "nearly always a wrong column or separator (--map and --delimiter say which), so nothing was sent; --accept-bad sends the "
            "good rows all the same."
        )


def _too_many_bad(request: Request, loaded: Loaded) -> bool:
    # In results that are fed back the columns are right, and the bad rows are those that were bad before.
    if request.accept_bad or (request.guests is not None and request.guests.is_result):
        return False
    return loaded.bad_count > _SHOWN_BAD and loaded.bad_count > MOST_BAD_SHARE * loaded.rows


def _nothing_good(loaded: Loaded) -> str:
    parts = []
    if loaded.bad_count:
        parts.append(f"{number(loaded.bad_count)} invalid")
    if loaded.blocked:
        parts.append(f"{number(loaded.blocked)} of domains that the connection does not allow")
    if loaded.foreseen:
        parts.append(f"{number(loaded.foreseen)} not to be invited by the plan")
    if loaded.duplicates:
        parts.append(f"{number(loaded.duplicates)} repeated")
    return f"None of {many(loaded.rows, 'row')} can be sent ({', '.join(parts)}); nothing was sent."


async def _plan(
    services: Services, connection: Connection, request: Request, loaded: Loaded, tenant: Tenant | None
) -> Plan:
    return build_plan(
        loaded,
        connection.name,
        buckets=invitation_buckets(services.settings(), connection),
        tenant_id=connection.tenant_id,
        tenant=tenant,
        gate=await services.gates.of(connection.name),
        jobs_before=await services.jobs.finished_jobs(connection.name),
        daily_limit=connection.daily_limit,
        rehearsal=is_rehearsal(services, connection),
        in_doubt_before=request.in_doubt_before,
    )


def is_rehearsal(services: Services, connection: Connection) -> bool:
    """Whether this is the built-in sandbox, where nobody is mailed and nothing has to be asked."""
    from config import SANDBOX

    return connection.name == SANDBOX and SANDBOX not in services.settings().connections


def _show_plan(terminal: Terminal, request: Request, plan: Plan) -> None:
    table = _two_columns([*_reading(terminal, request), *plan.lines()])
    if request.dry_run:
        terminal.show(table)
    else:
        terminal.say(table)
    for risk in plan.risks:
        terminal.warn(risk)


def _show_reading(terminal: Terminal, request: Request) -> None:
    """Show how the list was read, to those who have to find out what is wrong with it."""
    if lines := _reading(terminal, request):
        terminal.say(_two_columns(lines))


def _reading(terminal: Terminal, request: Request) -> list[tuple[str, str]]:
    """Return how the list was read. Sample rows name people: they are for a person's eyes, not for a scheduler's log."""
    return request.guests.describe(with_sample=terminal.live) if request.guests is not None else []


def _two_columns(lines: Sequence[tuple[str, str]]) -> Table:
    from rich.text import Text

    table = build_table(("", ""), [(Text(heading, style="dim"), text) for heading, text in lines])
    table.show_header = False
    return table


async def _dry_run(
    run: Run, services: Services, request: Request, connection: Connection, loaded: Loaded, tenant: Tenant | None
) -> int:
    """Say what would happen, remove the loaded job again; returns the exit status."""
    from tasks.cli.dry_run import describe, look, show, write_plan

    terminal, wants_plan = run.terminal, request.output.endswith(".json")
    forecast = await look(run, services, request, connection, loaded)
    await drop(services.jobs, loaded)
    plan = await _plan(services, connection, request, forecast.loaded, tenant)
    risks = (*plan.risks, *forecast.risks)
    plan = replace(plan, known=forecast.known, refused=forecast.refused, risks=risks)
    _show_plan(terminal, request, plan)
    show(terminal, forecast)
    if wants_plan:
        write_plan(services, request, connection, forecast, built_in=is_rehearsal(services, connection))
        terminal.show("", f"The plan is in {request.output}. To run just that: usher invite --plan {request.output}")
    elif request.output:
        terminal.show("", f"Every row with what would become of it is in {request.output}.")
    return _end_dry_run(terminal, request, plan, describe(forecast))


def _end_dry_run(terminal: Terminal, request: Request, plan: Plan, foreseen: dict[str, Any]) -> int:
    terminal.say("Nothing was sent (--dry-run).")
    told: dict[str, Any] = {"to_send": plan.to_send, "mails": plan.mails, "members": plan.members}
    told |= {"tenant": plan.tenant, "seconds": round(plan.seconds, 1)}
    job = {"job": None, "connection": request.connection, "state": "cancelled", **plan.counts}
    terminal.finish({**job, "plan": {**told, **foreseen, "risks": list(plan.risks)}})
    return 1 if plan.bad or plan.blocked or plan.refused else 0


def _ask(terminal: Terminal, request: Request, plan: Plan) -> None:
    """Ask once, where somebody is there. Raises `Refusal` for anything but a yes."""
    if request.yes or not terminal.interactive:
        return
    if not plan.accepts(terminal.ask(plan.question)):
        raise Refusal("Not confirmed; nothing was sent.")
