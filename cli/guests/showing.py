"""`usher guests show`: one guest as the tenant has them now."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from cli.guests.naming import read_who
from cli.ui.errors import Refusal
from cli.ui.options import json_option
from cli.ui.session import Session
from cli.ui.working import work_on_ledger

if TYPE_CHECKING:
    from cli.ui.place import Place
    from cli.ui.terminal import Terminal
    from worker.directory.guests import GuestReader
    from worker.graph.guests import Guest
    from worker.services import Services


@click.command()
@click.argument("who", metavar="EMAIL|ID")
@click.option("-c", "--connection", required=True, metavar="NAME", help="The tenant, as a connection names it.")
@json_option("One JSON object instead of lines.")
@click.pass_obj
def show(session: Session, who: str, connection: str) -> int:
    """Show a guest as the tenant has them now: state, dates, sponsors. An address that several have
    shows all of them.
    """
    email, object_id = read_who(who)
    return work_on_ledger(
        session,
        lambda terminal, place, services: _show(terminal, place, services, connection, email or object_id),
        sealed=True,
    )


async def _show(terminal: Terminal, place: Place, services: Services, name: str, who: str) -> int:
    from cli.ui.terminal import build_facts
    from tasks.guests.listing import COLUMNS, describe_guest
    from worker.addresses import fold_address
    from worker.directory.guests import GuestReader
    from worker.graph.guests import GUEST, Also

    if place.is_built_in(name):
        place.need_worker(name)  # the sandbox runs beside a worker
    connection = await services.resolved(name)
    reader = GuestReader(services, connection)
    found = await reader.find(fold_address(who) if "@" in who else who)
    guests = [guest for guest in found if guest.user_type == GUEST]
    if not guests:
        what = "address" if "@" in who else "id"
        if found:
            raise Refusal(f"This {what} is a member of the tenant, not a guest ({name}).")
        raise Refusal(f"Nobody in the tenant of {name} has this {what}.")
    told = [await _complete(terminal, reader, guest) for guest in guests]
    columns = (*COLUMNS, Also.SPONSORS.value, Also.SIGN_INS.value)
    shown = [describe_guest(guest, columns) for guest in told]
    if terminal.quiet:
        terminal.print_json({"guests": shown})
        return 0
    for one in shown:
        words = {"enabled": "yes" if one["enabled"] else "no", "sponsors": "; ".join(one["sponsors"])}
        terminal.show(build_facts([(column, words.get(column, one[column]) or "-") for column in columns]))
    return 0


async def _complete(terminal: Terminal, reader: GuestReader, guest: Guest) -> Guest:
    """Add sponsors, and the date of signing in where it may be read; a sentence tells where not."""
    from worker.errors import DirectoryUnread

    guest = replace(guest, sponsors=await reader.sponsors(guest))
    try:
        return await reader.dates(guest)
    except DirectoryUnread as unread:
        if not unread.missing:
            raise
        terminal.warn(f"{unread}")
        return guest
