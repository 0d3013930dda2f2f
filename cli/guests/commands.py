"""`usher guests`: who is in a tenant (`listing`, `showing`), what is done to them (`changing`), and
what usher holds of one person.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import click

from cli.guests.changing import add_changes
from cli.guests.cleaning import clean
from cli.guests.funnel import funnel
from cli.guests.listing import list_
from cli.guests.naming import read_who
from cli.guests.showing import show
from cli.guests.syncing import sync
from cli.guests.undoing import undo
from cli.ui.command_group import CommandGroup
from cli.ui.confirming import confirm
from cli.ui.options import json_option
from cli.ui.session import Session
from cli.ui.working import work_on_rows

if TYPE_CHECKING:
    from cli.ui.place import Place
    from cli.ui.terminal import Terminal
    from worker.services import Services


@click.group(cls=CommandGroup)
def guests() -> None:
    """List the guests of a tenant, show one; remind, reset, disable, enable, delete or restore
    them, and undo that; list all that is held about a person, or forget them everywhere.
    """


guests.add_command(list_)
guests.add_command(show)
guests.add_command(funnel)
add_changes(guests)
guests.add_command(sync)
guests.add_command(clean)
guests.add_command(undo)


@guests.command()
@click.argument("who", metavar="EMAIL|ID")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_option("One JSON object instead of a sentence.")
@click.pass_obj
def forget(session: Session, who: str, yes: bool) -> int:
    """Remove a person's address, name, reference and redeem link from the index, from every job
    that has ended, and from the audit trail.

    ID is Microsoft's object id of the guest. Each row's outcome and Microsoft's ids stay. Files of
    results and the guest in the tenant are not touched, nor are lists: who stands in one that a
    schedule reads comes back with its next run.
    """

    async def work(terminal: Terminal, place: Place, services: Services, email: str, object_id: str) -> int:
        await _ask(terminal, place, services, yes=yes)
        return await _forget(terminal, services, email, object_id)

    return _run(session, who, work)


@guests.command()
@click.argument("who", metavar="EMAIL|ID")
@json_option("One JSON object with all of it.")
@click.pass_obj
def export(session: Session, who: str) -> int:
    """List all that usher holds about a person: rows of jobs, the index of guests, the audit trail.
    With --json: in full, redeem links too.
    """
    return _run(session, who, lambda terminal, _, *rest: _export(terminal, *rest))


_Work = Callable[["Terminal", "Place", "Services", str, str], Awaitable[int]]


def _run(session: Session, who: str, work: _Work) -> int:
    email, object_id = read_who(who)
    return work_on_rows(
        session, lambda terminal, place, services: work(terminal, place, services, email, object_id), sealed=True
    )


async def _ask(terminal: Terminal, place: Place, services: Services, *, yes: bool) -> None:
    """Say what may bring the person back, and ask a person who is there. Raises `Refusal` for
    anything but a yes.
    """
    from cli.schedules.showing import planned_schedules
    from worker.ledger.timetable import Timetable

    table = await planned_schedules(place, Timetable(services.client, services.keys))
    if names := [name for name, planned in table.items() if planned.enabled and planned.schedule.task == "invite_file"]:
        reads = (
            f"Schedule {names[0]} reads a list" if len(names) == 1 else f"The schedules {', '.join(names)} read lists"
        )
        terminal.warn(f"{reads}: who stands in one is taken in again by its next run, so take them out of it first.")
    if terminal.interactive and not yes:
        confirm(terminal, "Erase all that usher holds of this person, for good?", "erased")


async def _forget(terminal: Terminal, services: Services, email: str, object_id: str) -> int:
    from tasks.telling.words import many
    from worker.people.forget import forget as forget_address
    from worker.people.forget import forget_id

    if object_id:
        done = await forget_id(services, object_id)
    else:
        done = await forget_address(services.ledger, services.index, email)
    if done.anything:
        await services.trail.note(
            "guest.forgotten",
            rows=done.rows,
            jobs=done.jobs,
            index_entries=done.entries,
            audit_rows=done.audited,
            disabled=done.disabled,
        )
        index = "the index of guests too" if done.entries else "the index of guests held nothing"
        audit = (
            f"; {many(done.audited, 'row')} of the audit trail without the hash of the address" if done.audited else ""
        )
        memory = "; that usher had disabled them" if done.disabled else ""
        terminal.show(
            f"Forgotten: {many(done.rows, 'row')} of {many(done.jobs, 'job')}"
            f" {'no longer names' if done.rows == 1 else 'no longer name'} this person; {index}{audit}{memory}."
        )
    else:
        terminal.show(
            "usher holds nothing of this person, so nothing was erased; the address was compared whole, however it is"
            " spelled. If it may be mistyped, check its spelling and forget it anew: this is no proof then."
        )
    if terminal.quiet:
        found = {"rows": done.rows, "jobs": done.jobs, "index": done.entries, "audit": done.audited}
        terminal.print_json(found | ({"disabled": done.disabled} if done.disabled else {}))
    return 0


async def _export(terminal: Terminal, services: Services, email: str, object_id: str) -> int:
    from dataclasses import asdict

    from tasks.safe_text import clean
    from tasks.telling.words import many
    from worker.people.find import find_all

    held = await find_all(services, email=email, object_id=object_id)
    if terminal.quiet:
        terminal.print_json(asdict(held))
        return 0
    if not held.anything:
        terminal.show("usher holds nothing of this person; the address was compared whole, however it is spelled.")
        return 0
    for row in held.rows:
        fields = ", ".join(f"{name} {value}" for name, value in row["submitted"].items())
        ended = ", ".join(
            f"{name} {row[name]}" for name in ("user_id", "mail", "error_code", "code", "finished_at") if row.get(name)
        )
        link = "; its redeem link is kept (shown with --json)" if row.get("redeem_url") else ""
        stage = f", stage {row['stage']}" if "stage" in row else ""
        terminal.show(f"Job {row['job']} on {row['connection']}, row {row['row']}{stage}: {clean(fields)}")
        terminal.show(f"  {row['status']}{': ' if ended else ''}{clean(ended)}{link}")
    for row in held.mentions:
        terminal.show(
            f"Job {row['job']}, row {row['row']} of somebody else names them in {', '.join(row['named_in'])}."
        )
    for entry in held.index:
        when = f"invited on {entry['invited_on']} by job {entry['job']}" if "job" in entry else "being invited"
        terminal.show(f"Index of guests, tenant {entry['tenant']}: {when}.")
    for one in held.disabled:
        terminal.show(f"Disabled by usher, tenant {one['tenant']}: {one['user_id']} since {one['since']}.")
    if held.audit:
        terminal.show(f"Audit trail: {many(len(held.audit), 'row')} (a hash of the address, no address):")
    for line in held.audit:
        terminal.show(f"  {line['at']}  job {line['job']}, row {line['row']}: {line['outcome']} {line['object_id']}")
    return 0
