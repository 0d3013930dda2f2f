"""`usher guests sync`: a list is compared with its tenant and what differs is shown line by line;
with --yes it becomes a job.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.guests.tenants import tenants_option
from cli.ui.interrupts import Interrupts
from cli.ui.options import follow_options, list_options, take_list_options
from cli.ui.session import Session

if TYPE_CHECKING:
    from cli.follow.run import Run
    from cli.ui.terminal import Terminal
    from tasks.guests.sync.plan import SyncPlan
    from tasks.guests.sync.store import SyncStore
    from tasks.lists.guest_list import GuestList
    from worker.services import Services


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A list that was read, and what is wanted of it. `dry`: nothing is to be done."""

    store: SyncStore
    guests: GuestList
    name: str
    connection: str
    source: str
    adopt: bool
    dry: bool
    detach: bool
    wait_s: float | None


@click.command()
@click.argument("file", metavar="FILE|-")
@tenants_option
@click.option(
    "--source",
    metavar="NAME",
    help="What the list is called in the tenant, such as crm: it takes away nobody whom another brought. Else: as the"
    " file is called.",
)
@click.option("--adopt", is_flag=True, help="Guests of the list whom no list has brought become guests of this one.")
@click.option("--dry-run", is_flag=True, help="Show what would be done; do nothing, with --yes too.")
@list_options
@follow_options
@click.pass_obj
def sync(session: Session, /, file: str, **given: Any) -> int:
    """Keep the guests that a list has brought as the list says. Without --yes nothing is done: what
    differs is shown, a line a guest.

    Who is new in it is invited (+), who changed is changed (~), who left it is disabled (-), unless
    more than most_left allows are missing. Guests whom another list or nobody brought are left as
    they are. Where several tenants are meant each row says in its column connection whose it is.
    """
    from cli.follow.run import Run
    from cli.guests.sync_together import SyncTogether
    from cli.invite.opening import open_asking
    from cli.ui.place import open_place, refuse_to_leave_running
    from cli.ui.terminal import Terminal
    from config.connections import means_several
    from tasks.errors import InputError, Refusal
    from tasks.guests.sync.store import SyncStore

    terminal, interrupts = Terminal(session), Interrupts()
    with interrupts.caught(), ExitStack() as closing:
        source = _find_source(file, given["source"])
        try:
            guests = closing.enter_context(open_asking(terminal, file, take_list_options(given)))
            dry = given["dry_run"] or not given["yes"]
            kept = {key: given[key] for key in ("adopt", "detach", "wait_s")}
            if means_several(given["connection"]):
                several = SyncTogether(guests, Path(file).name, source, dry=dry, **kept)
                return several.run(session, terminal, interrupts, given["connection"], closing)
            store = closing.enter_context(SyncStore())
            _read(terminal, store, guests, given["connection"])
            if given["detach"] and not dry:
                refuse_to_leave_running()
            wanted = _Wanted(store, guests, Path(file).name, given["connection"], source, dry=dry, **kept)
            place = closing.enter_context(open_place())
            return asyncio.run(_compare_and_do(Run(session, terminal, interrupts, place), wanted))
        except InputError as error:
            raise Refusal(f"{error} Nothing was done.") from None


def _read(terminal: Terminal, store: SyncStore, guests: GuestList, connection: str) -> None:
    """Read the rows that are a connection's. Raises `InputError`."""
    from config.reader import load_settings
    from tasks.guests.sync.plan import read_list
    from tasks.guests.sync.whose import keep_own
    from tasks.telling.words import many

    left_out = 0

    def leave() -> None:
        nonlocal left_out
        left_out += 1

    own = keep_own(guests.rows(), connection, load_settings().connections, leave)
    read_list(store, guests, lambda rows: terminal.count(f"Reading {guests.name}: {rows:,} rows"), own)
    if left_out:
        terminal.warn(f"Of connections that were not chosen (-c), and left out: {many(left_out, 'row')}.")


def _find_source(file: str, given: str | None) -> str:
    """Return what the list is called in the tenant. Raises `UsageError`."""
    from config.values import parse_name
    from tasks.guests.sync.source import name_source

    try:
        return parse_name(given) if given is not None else name_source(file)
    except ValueError as error:
        raise click.UsageError(f"--source {error}.") from None


async def _compare_and_do(run: Run, wanted: _Wanted) -> int:
    from cli.follow.run import get_ready
    from cli.invite.sending import sign_in
    from tasks.guests.sync.loading import refuse_unfinished
    from tasks.guests.sync.plan import make_plan
    from tasks.telling.words import number, utc_now

    terminal = run.terminal
    async with run.place.services() as services:
        await get_ready(run, services, wanted.connection)
        connection = await services.resolved(wanted.connection)
        await sign_in(terminal, services, connection, fresh=True)
        if not wanted.dry:
            await refuse_unfinished(services, connection, wanted.source, utc_now())
        terminal.status("Asking the tenant")

        def count(read: int, total: int | None) -> None:
            of = f" of {number(total)}" if total is not None else ""
            terminal.count(f"{number(read)}{of} guests compared")

        plan = await make_plan(
            services, connection, wanted.store, wanted.guests, wanted.source, adopt=wanted.adopt, count=count
        )
        terminal.status("")
        _show(run, wanted, plan)
        if wanted.dry or not any(True for _ in plan.changes()):
            return _end_undone(run, wanted, plan)
        return await _do(run, services, wanted, plan)


def _show(run: Run, wanted: _Wanted, plan: SyncPlan) -> None:
    from cli.ui.lines import show_lines
    from cli.ui.terminal import build_facts
    from tasks.guests.sync.told import tell_change, tell_kept, tell_needs
    from tasks.safe_text import clean

    if not run.terminal.quiet:
        show_lines(run.terminal, (clean(tell_change(change)) for change in plan.changes()))
    run.terminal.say(build_facts(wanted.guests.describe(with_sample=False)))
    for warning in wanted.guests.warnings:
        run.terminal.warn(warning)
    for row in plan.store.bad:
        run.terminal.warn(f"{row}.")
    for sentence in (*tell_needs(plan), *tell_kept(plan)):
        run.terminal.warn(sentence)


def _end_undone(run: Run, wanted: _Wanted, plan: SyncPlan) -> int:
    """Say that nothing was done; returns the exit status."""
    from tasks.guests.sync.told import sum_up

    terminal, would = run.terminal, sum(1 for _ in plan.changes())
    yes = " (only with --yes)" if wanted.dry and would else ""
    terminal.say(f"{sum_up(plan)}. Nothing was done{yes}.")
    bad = plan.store.bad_count
    counts = {"rows": would + bad, "done": 0, "already": 0, "skipped": 0, "failed": bad, "in_doubt": 0, "pending": 0}
    job = {"job": None, "connection": wanted.connection, "operation": "sync", "state": "cancelled"}
    terminal.finish({**job, **counts, "cancelled": would, "plan": plan.describe(), "ceilings": plan.ceilings})
    if wanted.dry:
        return 0
    return 3 if plan.ceilings else 1 if bad else 0


async def _do(run: Run, services: Services, wanted: _Wanted, plan: SyncPlan) -> int:
    """Let the plan become a job and follow it; returns the exit status."""
    from cli.follow.follow_and_report import follow_and_report
    from cli.follow.run import dropping_unless_started
    from tasks.forecast.targets import look_at_stages
    from tasks.guests.sync.loading import load_plan
    from tasks.guests.sync.told import sum_up
    from tasks.submit import drop, new_job_id, start
    from worker.ledger.audit.account import find_person

    session, terminal, job = run.session, run.terminal, new_job_id()
    await services.jobs.follow(job, os.getpid())
    info = {**find_person().to_info(), "list": wanted.name, "sha256": wanted.guests.sha256()}
    loaded = await load_plan(services, plan, job, info)
    async with dropping_unless_started(run, partial(drop, services.jobs, loaded)):
        token = await services.tokens.get(plan.connection)
        for stage in await look_at_stages(services, plan.connection, job, loaded.asked, token.roles):
            if stage.missing:
                terminal.warn(stage.missing)
        terminal.say(f"{sum_up(plan)}.")
        session.accepted = job
        session.told = {"plan": plan.describe(), "ceilings": plan.ceilings}
        await start(services.jobs, loaded)
    terminal.tell(f"Job {job}")
    status = await follow_and_report(run, services, job, detach=wanted.detach, wait_s=wanted.wait_s)
    return 3 if plan.ceilings else status
