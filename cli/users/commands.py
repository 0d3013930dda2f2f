"""`usher users`: who is in a tenant, members too; one is created (`creating.py`)."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.ui.command_group import CommandGroup
from cli.ui.listing import choose_form, finish_listing, output_options
from cli.ui.options import json_option
from cli.ui.session import Session
from cli.ui.working import work_on_ledger
from cli.users.creating import create
from config.values import is_guid
from tasks.errors import Refusal

if TYPE_CHECKING:
    from cli.ui.place import Place
    from cli.ui.terminal import Terminal
    from tasks.guests.choice import Choice
    from worker.directory.guests import GuestReader
    from worker.services import Services

_connection = click.option(
    "-c", "--connection", required=True, metavar="NAME", help="The tenant, as a connection names it."
)


@click.group(cls=CommandGroup)
def users() -> None:
    """List the users of a tenant, members too, show one, or create a member."""


users.add_command(create)


@users.command("list")
@_connection
@click.option("--type", "kind", type=click.Choice(("member", "guest")), help="Only these.")
@click.option("--domain", metavar="DOMAIN", help="Only addresses of this domain, its subdomains too.")
@click.option("--enabled/--disabled", default=None, help="Only who may sign in, or may not.")
@output_options
@click.pass_obj
def list_(session: Session, /, connection: str, form: str | None, output: Path | None, **given: Any) -> int:
    """List the users that a tenant has, guests and members."""
    from config.values import fold_domain
    from tasks.guests.choice import Choice

    form = choose_form(form, output)
    domain = fold_domain((given["domain"] or "").lstrip("@"))
    choice = Choice(user_type=(given["kind"] or "").title(), domain=domain, enabled=given["enabled"])
    return work_on_ledger(
        session,
        lambda terminal, place, services: _list(
            terminal, place, services, connection, choice, given["limit"], form, output
        ),
        sealed=True,
    )


@users.command()
@click.argument("who", metavar="ID|UPN|EMAIL|NAME")
@_connection
@json_option("One JSON object instead of lines.")
@click.pass_obj
def get(session: Session, who: str, connection: str) -> int:
    """Show who has an object id, a user principal name, an address or a display name; all of them
    where several have.
    """
    return work_on_ledger(
        session, lambda terminal, place, services: _get(terminal, place, services, connection, who.strip()), sealed=True
    )


async def _open(place: Place, services: Services, name: str) -> GuestReader:
    from worker.directory.guests import GuestReader

    place.need_sandbox(name)
    return GuestReader(services, await services.resolved(name))


async def _list(
    terminal: Terminal,
    place: Place,
    services: Services,
    name: str,
    choice: Choice,
    limit: int | None,
    form: str,
    output: Path | None,
) -> int:
    from tasks.guests.listing import USER_COLUMNS, GuestListing
    from tasks.telling.words import number

    read = 0
    with GuestListing(USER_COLUMNS) as listing:
        async with aclosing((await _open(place, services, name)).everybody()) as pages:
            async for page in pages:
                if page.begins:
                    listing.begin()
                    read = 0
                for user in page.guests:
                    read += 1
                    if (limit is None or listing.count < limit) and choice.takes(user):
                        listing.put(user)
                of = f" of {number(page.total)}" if page.total is not None else ""
                terminal.count(f"{number(read)}{of} users read")
                if listing.count == limit:
                    break
        finish_listing(terminal, listing, read, form, output, "user")
    return 0


async def _get(terminal: Terminal, place: Place, services: Services, name: str, who: str) -> int:
    from cli.ui.terminal import build_facts
    from tasks.guests.listing import USER_COLUMNS, describe_guest
    from worker.addresses import fold_address

    if not who:
        raise Refusal("Give an object id, a user principal name, an e-mail address or a display name.")
    reader = await _open(place, services, name)
    if is_guid(who):
        found = await reader.find(who.lower())
    else:
        found = await (reader.find(fold_address(who)) if "@" in who else reader.find_named(who))
    if not found:
        raise Refusal(f"Nobody in this tenant ({name}) has this id, address or name.")
    told = [describe_guest(user, USER_COLUMNS) for user in found]
    if terminal.quiet:
        terminal.print_json({"users": told})
        return 0
    for one in told:
        words = {"enabled": "yes" if one["enabled"] else "no"}
        terminal.show(build_facts([(column, words.get(column, one[column]) or "-") for column in USER_COLUMNS]))
    return 0
