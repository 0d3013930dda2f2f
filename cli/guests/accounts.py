"""`usher guests disable` and `enable`: whom a list names is looked up and told row by row; then it
becomes a job of that operation, or nothing at all.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from cli.ui.interrupts import Interrupts
from cli.ui.options import follow_options
from cli.ui.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cli.follow.run import Run
    from cli.ui.terminal import Terminal
    from config.connections import Connection
    from tasks.forecast.rows import ForeseenRow
    from tasks.rows.row import BadRow, ValidRow
    from tasks.submit import Loaded
    from worker.operations.foreseen import Would
    from worker.services import Services

_SHOWN_TOGETHER = 200
_CEILING = "most"


@dataclass(frozen=True, slots=True)
class _Change:
    """What is wanted. `dry`: nothing is to be done."""

    operation: str
    connection: str
    rows: Iterable[ValidRow | BadRow]
    name: str
    most: int | None
    dry: bool
    yes: bool
    detach: bool
    wait_s: float | None


def _options(command: Callable[..., int]) -> Callable[..., int]:
    for option in (
        click.option(
            "--most", type=click.IntRange(min=0), metavar="N", help="Do nothing at all to more than N guests."
        ),
        click.option("--dry-run", is_flag=True, help="Show what would be done; do nothing."),
        click.option("-c", "--connection", required=True, metavar="NAME", help="The connection whose tenant it is."),
        click.argument("source", metavar="FILE|ADDRESS…|-", nargs=-1, required=True),
    ):
        command = option(command)
    return follow_options(command)


@click.command()
@_options
@click.pass_obj
def disable(session: Session, /, **given: Any) -> int:
    """Keep guests from signing in. Without --yes nothing is done: what would be is shown row by
    row.

    Never a member, never an account that did not come by an invitation, never who holds, or may
    take, a directory role.
    """
    given["dry_run"] = given["dry_run"] or not given["yes"]
    return _change(session, "disable", given)


@click.command()
@_options
@click.pass_obj
def enable(session: Session, /, **given: Any) -> int:
    """Let guests sign in again who were disabled."""
    return _change(session, "enable", given)


def _change(session: Session, operation: str, given: dict[str, Any]) -> int:
    from cli.follow.run import Run
    from cli.invite.command import open_source
    from cli.ui.place import open_place, refuse_to_leave_running
    from cli.ui.terminal import Terminal
    from tasks.lists.options import ListOptions

    terminal, interrupts = Terminal(session), Interrupts()
    with interrupts.caught(), ExitStack() as closing:
        rows, name, _ = open_source(terminal, given["source"], ListOptions(), closing, None)
        change = _Change(
            operation,
            given["connection"],
            rows,
            name,
            given["most"],
            given["dry_run"],
            **{key: given[key] for key in ("yes", "detach", "wait_s")},
        )
        if change.detach and not change.dry:
            refuse_to_leave_running()
        place = closing.enter_context(open_place())
        return asyncio.run(_look_and_do(Run(session, terminal, interrupts, place), change))


async def _look_and_do(run: Run, change: _Change) -> int:
    from cli.follow.run import follow_and_report, get_ready
    from cli.invite.sending import sign_in
    from cli.ui.errors import Refusal
    from tasks.submit import drop, load, new_job_id, start
    from worker.ledger.audit.account import find_person

    session, terminal = run.session, run.terminal
    async with run.place.services() as services:
        await get_ready(run, services, change.connection)
        connection = await services.resolved(change.connection)
        await sign_in(terminal, services, connection, fresh=True)
        job = new_job_id()
        await services.jobs.follow(job, os.getpid())
        loaded = await load(
            services.jobs,
            connection,
            change.rows,
            job=job,
            info={**find_person().to_info(), "list": change.name},
            operation=change.operation,
        )
        if loaded is None:
            raise Refusal("A job of this id exists already; nothing was done. Try again.")
        try:
            counts = await _foresee(terminal, services, connection, loaded, change)
            ceilings = _find_ceilings(terminal, change, counts)
            if change.dry or ceilings:
                await drop(services.jobs, loaded)
                return _end_undone(terminal, change, counts, ceilings)
            _ask(run, change, counts)
            session.accepted = job
            await start(services.jobs, loaded)
        except BaseException:
            session.accepted = ""
            await drop(services.jobs, loaded)
            raise
        terminal.tell(f"Job {job}")
        return await follow_and_report(run, services, job, detach=change.detach, wait_s=change.wait_s)


async def _foresee(
    terminal: Terminal, services: Services, connection: Connection, loaded: Loaded, change: _Change
) -> Counter[Would]:
    """Show what would become of each row; returns how many rows would end so."""
    from rich.text import Text

    from tasks.forecast.guarded import spare
    from tasks.forecast.rows import Foresight
    from worker.directory.asking import PatientAsk
    from worker.directory.role_guard import RoleGuard, read_role_guard
    from worker.directory.rules import fetch_rules
    from worker.operations.operation import CannotAsk, Channel
    from worker.operations.registry import find_operation

    terminal.status("Asking the tenant")
    channel = Channel(connection, find_operation(change.operation))
    rules = await fetch_rules(services, channel)
    try:
        guard = await read_role_guard(PatientAsk(services, connection, loaded.job))
    except CannotAsk:
        guard = RoleGuard(unread="Graph gives no answer, so nobody can tell whom to spare: try again later.")
    terminal.status("")
    foresight = Foresight(services, channel, rules, loaded.options, channel.operation.reads)
    counts: Counter[Would] = Counter()
    lines: list[str] = []
    async for one in spare(foresight.rows(loaded.job), guard):
        counts[one.foreseen.would] += 1
        lines.append(_line(one, change.operation))
        if len(lines) >= _SHOWN_TOGETHER:
            terminal.show(Text("\n".join(lines)))
            lines.clear()
    terminal.show(Text("\n".join(lines)))
    if guard.unread:
        terminal.warn(guard.unread)
    return counts


def _line(one: ForeseenRow, operation: str) -> str:
    from cli.ui.terminal import clean

    foreseen = one.foreseen
    words = [str(one.number), foreseen.would.told(operation), clean(one.row.get("email") or "(no address)")]
    return "  ".join([*words, foreseen.why] if foreseen.why else words)


def _find_ceilings(terminal: Terminal, change: _Change, counts: Counter[Would]) -> list[str]:
    from cli.ui.words import many, number
    from worker.operations.foreseen import Would

    if change.most is None or counts[Would.DO] <= change.most:
        return []
    guests = many(counts[Would.DO], "guest")
    terminal.warn(
        f"To {change.operation} {guests} is more than --most {number(change.most)} allows, so nothing is done: look"
        " at the list, then give a larger number or a shorter list."
    )
    return [_CEILING]


def _end_undone(terminal: Terminal, change: _Change, counts: Counter[Would], ceilings: list[str]) -> int:
    """Say that nothing was done; returns the exit status."""
    from cli.ui.words import many
    from worker.operations.foreseen import Would

    would = f"{many(counts[Would.DO], 'guest')} to {change.operation}, {counts[Would.SKIP]} skipped,"
    yes = "" if change.yes else " (only with --yes)"
    terminal.say(f"{would} {counts[Would.REFUSE]} refused. Nothing was done{yes}.")
    told = {
        "rows": counts.total(),
        "done": 0,
        "already": 0,
        "skipped": counts[Would.SKIP],
        "failed": counts[Would.REFUSE],
        "in_doubt": 0,
        "pending": 0,
        "cancelled": counts[Would.DO],
    }
    plan = {"would": {would.told(change.operation): counts[would] for would in Would}}
    job = {"job": None, "connection": change.connection, "state": "cancelled"}
    terminal.finish({**job, **told, "plan": plan, "ceilings": ceilings})
    return 3 if ceilings and change.yes else 0


def _ask(run: Run, change: _Change, counts: Counter[Would]) -> None:
    from cli.ui.confirming import confirm
    from cli.ui.words import many
    from worker.operations.foreseen import Would

    if run.terminal.interactive and not change.yes and not run.place.is_built_in(change.connection):
        question = f"{change.operation.capitalize()} {many(counts[Would.DO], 'guest')} of {change.connection}?"
        confirm(run.terminal, question, "done")
