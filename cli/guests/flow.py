"""Guests are changed by one flow, whoever chose them: load the rows, say of each what would become
of it and why, ask, start, follow; or do nothing at all.

Rows come from a list (`changing.py`), from a policy or from a job that is undone. A ceiling that
was met is told, and the exit status is 3.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cli.follow.run import Run, follow_and_report, get_ready
from cli.ui.confirming import confirm
from cli.ui.terminal import clean
from tasks.errors import Refusal
from tasks.submission.ceiling import MOST, CeilingMet
from tasks.telling.words import line_of, many, number
from worker.ledger.model import NEW_EMAIL
from worker.operations.foreseen import Would
from worker.operations.row_fields import THEN, WHY

if TYPE_CHECKING:
    from cli.ui.terminal import Terminal
    from config.connections import Connection
    from tasks.forecast.rows import ForeseenRow
    from tasks.rows.row import BadRow, ValidRow
    from tasks.submit import Loaded
    from worker.ledger.model import Options
    from worker.services import Services

_SHOWN_TOGETHER = 200


@dataclass(slots=True)
class _Change:
    """What is wanted, and what was found of it. `dry`: nothing is to be done."""

    operation: str
    connection: Connection
    dry: bool
    yes: bool
    most: int | None
    ceilings: list[str]
    counts: Counter[Would] = field(default_factory=Counter)
    deeds: Counter[str] = field(default_factory=Counter)  # of rows that something would be done to
    because: Counter[str] = field(default_factory=Counter)  # of the others, by code

    @property
    def would(self) -> dict[str, int]:
        """What would become of the rows, as `--json` tells it."""
        others = {would.value: self.counts[would] for would in (Would.SKIP, Would.REFUSE)}
        return {**(self.deeds or {self.operation: 0}), **others}


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
    ceilings: Sequence[str] = (),
) -> int:
    """Do an operation to the guests of some rows, or say what would be done; returns the exit
    status.

    `name`: what the rows are called; `most`: beyond so many guests it is done to none; `ceilings`:
    names of those that were met before, so that rows are missing here. Rows of a root say what
    comes of them (`THEN`) and why (`WHY`). Raises `Refusal`.
    """
    from tasks.submit import drop, load, new_job_id, start
    from worker.ledger.audit.account import find_person

    session, terminal = run.session, run.terminal
    change = _Change(operation, connection, dry, yes, most, list(ceilings))
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
    if loaded is None:
        raise Refusal("A job of this id exists already; nothing was done. Try again.")
    try:
        await _foresee(terminal, services, change, loaded, shows=dry or (terminal.interactive and not yes))
        is_beyond = _is_beyond(terminal, change)
        if dry or is_beyond or not loaded.rows:
            await drop(services.jobs, loaded)
            return _end_undone(terminal, change)
        _ask(run, change)
        session.accepted = job
        if ceilings:
            session.told = {**session.told, "ceilings": list(ceilings)}
        await start(services.jobs, loaded)
    except BaseException:
        if await drop(services.jobs, loaded):
            session.accepted = ""
        raise
    terminal.tell(f"Job {job}")
    status = await follow_and_report(run, services, job, detach=detach, wait_s=wait_s)
    return 3 if ceilings else status


async def _foresee(terminal: Terminal, services: Services, change: _Change, loaded: Loaded, *, shows: bool) -> None:
    """Find out what would become of each row, and show it where somebody wants to see it."""
    from rich.text import Text

    from tasks.forecast.guarded import foresee_change

    terminal.status("Asking the tenant")
    rows, guard = await foresee_change(services, change.connection, loaded)
    terminal.status("")
    lines: list[str] = []
    async for one in rows:
        change.counts[one.foreseen.would] += 1
        deed = _name_deed(one, change.operation)
        if one.foreseen.would is Would.DO:
            change.deeds[deed] += 1
        else:
            change.because[one.foreseen.code] += 1
        if shows:
            lines.append(_line(one, deed))
        if len(lines) >= _SHOWN_TOGETHER:
            terminal.show(Text("\n".join(lines)))
            lines.clear()
    if lines:
        terminal.show(Text("\n".join(lines)))
    if guard is not None and guard.unread:
        terminal.warn(guard.unread)


def _name_deed(one: ForeseenRow, operation: str) -> str:
    then = one.row.get(THEN)
    if one.foreseen.would is not Would.DO or not then:
        return one.foreseen.would.told(operation)
    return then if isinstance(then, str) else " ".join(then)


def _line(one: ForeseenRow, deed: str) -> str:
    why = one.foreseen.why or (str(one.row.get(WHY, "")) if one.foreseen.would is Would.DO else "")
    address = clean(one.row.get("email") or "(no address)")
    if new := one.row.get(NEW_EMAIL):
        address += f" → {clean(new)}"
    return line_of(str(one.number), deed, address, clean(why))


def _is_beyond(terminal: Terminal, change: _Change) -> bool:
    if change.most is None or change.counts[Would.DO] <= change.most:
        return False
    guests = many(change.counts[Would.DO], "guest")
    terminal.warn(
        f"To {change.operation} {guests} is more than --most {number(change.most)} allows, so nothing is done: look"
        " at the list, then give a larger number or a shorter list."
    )
    change.ceilings.append(MOST)
    return True


def _end_undone(terminal: Terminal, change: _Change) -> int:
    """Say that nothing was done; returns the exit status."""
    counts = change.counts
    deeds = [f"{many(count, 'guest')} to {deed}" for deed, count in change.deeds.items()]
    would = ", ".join(deeds or [f"0 guests to {change.operation}"])
    yes = " (only with --yes)" if change.dry and not change.yes and counts[Would.DO] else ""
    terminal.say(f"{would}, {counts[Would.SKIP]} skipped, {counts[Would.REFUSE]} refused. Nothing was done{yes}.")
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
    plan = {"would": change.would, "because": dict(change.because)}
    job = {"job": None, "connection": change.connection.name, "operation": change.operation, "state": "cancelled"}
    terminal.finish({**job, **told, "plan": plan, "ceilings": change.ceilings})
    return 3 if change.ceilings and (change.yes or not change.dry) else 0


def end_beyond(terminal: Terminal, operation: str, connection: str, met: CeilingMet) -> int:
    """Say that nothing was done, for a ceiling was met; returns the exit status."""
    terminal.warn(str(met))
    none = dict.fromkeys(("done", "already", "skipped", "failed", "in_doubt", "pending"), 0)
    job = {"job": None, "connection": connection, "operation": operation, "state": "cancelled", "rows": met.would}
    terminal.finish({**job, **none, "cancelled": met.would, "ceilings": [met.name]})
    return 3


def _ask(run: Run, change: _Change) -> None:
    if run.terminal.interactive and not change.yes and not run.place.is_built_in(change.connection.name):
        guests = many(change.counts[Would.DO], "guest")
        confirm(run.terminal, f"{change.operation.capitalize()} {guests} of {change.connection.name}?", "done")
