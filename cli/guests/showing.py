"""`usher guests show`: one guest as the tenant has them now."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from cli.guests.naming import read_who
from cli.guests.tenants import open_tenants, tenants_option
from cli.ui.options import json_option
from cli.ui.session import Session
from cli.ui.working import work_on_ledger
from tasks.errors import Refusal

if TYPE_CHECKING:
    from cli.ui.place import Place
    from cli.ui.terminal import Terminal
    from config.connections import Connection
    from worker.directory.guests import GuestReader
    from worker.graph.guests import Guest
    from worker.services import Services


@click.command()
@click.argument("who", metavar="EMAIL|ID")
@tenants_option
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
    from tasks.guests.listing import COLUMNS
    from tasks.rows.fields import CONNECTION
    from worker.addresses import fold_address
    from worker.graph.guests import Also

    tenants, shown, why = open_tenants(terminal, place, services, name), [], ""
    columns = (*COLUMNS, Also.SPONSORS.value, Also.SIGN_INS.value)

    async def look(connection: Connection) -> tuple[list[dict[str, Any]], str]:
        return await _find(terminal, services, connection, fold_address(who) if "@" in who else who, columns)

    async with aclosing(tenants.ask(look)) as asked:
        async for connection, (guests, nobody) in asked:
            shown += [{CONNECTION: connection, **one} if tenants.several else one for one in guests]
            why = why or nobody
    status = tenants.end()
    if not shown and tenants.several:
        why = f"No guest of these {len(tenants.names) - len(tenants.unasked):,} tenants has this {_called(who)}."
    if not shown and not tenants.unasked:
        raise Refusal(why)
    if terminal.quiet:
        terminal.print_json({"guests": shown, **tenants.describe_unasked()})
        return status
    if not shown:
        terminal.say(why)
    for number, one in enumerate(shown):
        if number:
            terminal.show("")
        words = {"enabled": "yes" if one["enabled"] else "no", "sponsors": "; ".join(one["sponsors"])}
        terminal.show(build_facts([(column, words.get(column, one[column]) or "-") for column in one]))
    return status


async def _find(
    terminal: Terminal, services: Services, connection: Connection, who: str, columns: Sequence[str]
) -> tuple[list[dict[str, Any]], str]:
    """Return the guests of one tenant who are meant, and why there is none."""
    from tasks.guests.listing import describe_guest
    from worker.directory.guests import GuestReader
    from worker.graph.guests import GUEST

    reader = GuestReader(services, connection)
    found = await reader.find(who)
    guests = [await _complete(terminal, reader, guest) for guest in found if guest.user_type == GUEST]
    if found:
        why = f"This {_called(who)} is a member of the tenant, not a guest ({connection.name})."
    else:
        why = f"Nobody in the tenant of {connection.name} has this {_called(who)}."
    return [describe_guest(guest, columns) for guest in guests], why


def _called(who: str) -> str:
    return "address" if "@" in who else "id"


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
