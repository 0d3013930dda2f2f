"""Guests are changed by one flow, whoever chose them: load the rows, say of each what would become
of it and why, ask, start, follow; or do nothing at all.

Rows come from a list (`changing.py`), from a policy or from a job that is undone. A ceiling that
was met is told, and the exit status is 3.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from cli.follow.follow_and_report import follow_and_report
from cli.follow.run import Run, dropping_unless_started, get_ready
from cli.guests.foreseeing import Change, foresee
from cli.ui.confirming import confirm
from cli.ui.lines import Lines
from tasks.submission.ceiling import CeilingMet
from tasks.telling.words import many
from worker.operations.foreseen import Would

if TYPE_CHECKING:
    from cli.ui.terminal import Terminal
    from config.connections import Connection
    from tasks.rows.row import BadRow, ValidRow
    from worker.ledger.model import Options
    from worker.services import Services


async def open_tenant(run: Run, services: Services, name: str) -> Connection:
    """Get ready to run a job on a connection, and sign in. Raises `Refusal`."""
    from cli.invite.sending import sign_in

    await get_ready(run, services, name)
    connection = await services.resolved(name)
    await sign_in(run.terminal, services, connection, fresh=True)
    return connection


async def run_rows(
    run: Run,
    services: Services,
    connection: Connection,
    rows: Iterable[ValidRow | BadRow],
    *,
    operation: str,
    name: str,
    dry: bool,
    yes: bool,
    detach: bool = False,
    wait_s: float | None = None,
    info: Mapping[str, Any] | None = None,
    options: Options | None = None,
    most: int | None = None,
) -> int:
    """Do an operation to the guests of some rows, or say what would be done; returns the exit
    status.

    `name`: what the rows are called; `most`: beyond so many guests it is done to none. Rows of a
    root say what comes of them (`THEN`) and why (`WHY`). Raises `Refusal`.
    """
    from tasks.submit import drop, load, new_job_id, start
    from worker.ledger.audit.account import find_person

    session, terminal = run.session, run.terminal
    change = Change(operation, connection.name, most)
    job = new_job_id()
    await services.jobs.follow(job, os.getpid())
    loaded = await load(
        services.jobs,
        connection,
        rows,
        job=job,
        info={**find_person().to_info(), "list": name, **(info or {})},
        operation=operation,
        options=options,
    )
    async with dropping_unless_started(run, partial(drop, services.jobs, loaded)):
        lines = Lines()
        terminal.status("Asking the tenant")
        unread = await foresee(services, connection, change, loaded, lines.put)
        terminal.status("")
        if dry or (terminal.interactive and not yes):
            lines.show(terminal)
        for sentence in filter(None, (unread, beyond := change.meets_ceiling())):
            terminal.warn(sentence)
        if dry or beyond or not loaded.rows:
            await drop(services.jobs, loaded)
            return _end_undone(terminal, change, waits_for_yes=dry and not yes)
        if terminal.interactive and not yes and not run.place.is_built_in(connection.name):
            guests = many(change.counts[Would.DO], "guest")
            confirm(terminal, f"{operation.capitalize()} {guests} of {connection.name}?", "done")
        session.accepted = job
        await start(services.jobs, loaded)
    terminal.tell(f"Job {job}")
    return await follow_and_report(run, services, job, detach=detach, wait_s=wait_s)


def _end_undone(terminal: Terminal, change: Change, *, waits_for_yes: bool) -> int:
    """Say that nothing was done; returns the exit status."""
    counts = change.counts
    deeds = [f"{many(count, 'guest')} to {deed}" for deed, count in change.deeds.items()]
    would = ", ".join(deeds or [f"0 guests to {change.operation}"])
    yes = " (only with --yes)" if waits_for_yes and counts[Would.DO] else ""
    terminal.say(f"{would}, {counts[Would.SKIP]} skipped, {counts[Would.REFUSE]} refused. Nothing was done{yes}.")
    job = {"job": None, "connection": change.connection, "operation": change.operation, "state": "cancelled"}
    told = dict.fromkeys(("done", "already", "in_doubt", "pending"), 0) | change.undone
    terminal.finish({**job, **told, "plan": change.plan, "ceilings": change.ceilings})
    return 3 if change.ceilings and not waits_for_yes else 0


def end_beyond(terminal: Terminal, operation: str, connection: str, met: CeilingMet) -> int:
    """Say that nothing was done, for a ceiling was met; returns the exit status."""
    terminal.warn(str(met))
    none = dict.fromkeys(("done", "already", "skipped", "failed", "in_doubt", "pending"), 0)
    job = {"job": None, "connection": connection, "operation": operation, "state": "cancelled", "rows": met.would}
    terminal.finish({**job, **none, "cancelled": met.would, "ceilings": [met.name]})
    return 3
