"""`usher guests list`: which guests a tenant has, as a table, CSV or JSON lines."""

from __future__ import annotations

from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.guests.tenants import open_tenants, tenants_option
from cli.ui.listing import choose_form, finish_listing, output_options
from cli.ui.session import Session
from cli.ui.working import work_on_ledger

if TYPE_CHECKING:
    from cli.ui.place import Place
    from cli.ui.terminal import Terminal
    from config.connections import Connection
    from tasks.guests.listing import GuestListing
    from worker.services import Services


class Age(click.ParamType[timedelta]):
    """How long ago: 30d, 12h."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return a length of time."""
        from config.values import parse_seconds

        try:
            if str(value)[-1:].isdecimal():  # seconds, which nobody means here
                raise ValueError
            return timedelta(seconds=parse_seconds(str(value)))
        except ValueError:
            self.fail(f"{value!r} is no age such as 30d or 12h", param, ctx)


@click.command("list")
@tenants_option
@click.option(
    "--state",
    type=click.Choice(("pending", "accepted", "unknown")),
    help="Only these; unknown: who came another way than by invitation.",
)
@click.option("--invited-before", type=Age(), metavar="AGE", help="Only who is there longer than this: 30d, 12h.")
@click.option(
    "--inactive",
    type=Age(),
    metavar="AGE",
    help="Only who did not sign in for so long, counted from the latest of all dates; who has not accepted is not"
    " listed. Needs AuditLog.Read.All and Entra ID P1.",
)
@click.option(
    "--expires-within",
    type=Age(),
    metavar="AGE",
    help="Only whose access ends within so long, or has ended: 14d. Shows the column expires.",
)
@click.option("--domain", metavar="DOMAIN", help="Only addresses of this domain, its subdomains too.")
@click.option("--no-sponsor", is_flag=True, help="Only who has no sponsor.")
@click.option("--enabled/--disabled", default=None, help="Only who may sign in, or may not.")
@click.option(
    "--with",
    "more",
    multiple=True,
    type=click.Choice(("sponsors", "last_sign_in", "expires")),
    help="A further column. May be given twice.",
)
@output_options
@click.pass_obj
def list_(session: Session, /, connection: str, form: str | None, output: Path | None, **given: Any) -> int:
    """List the guests that a tenant has. Nothing is changed, and no right to change anything is
    needed.

    Of several tenants each line begins with the connection, and --limit is of each.
    """
    form = choose_form(form, output)
    return work_on_ledger(
        session,
        lambda terminal, place, services: _list(terminal, place, services, connection, form, output, given),
        sealed=True,
    )


async def _list(
    terminal: Terminal,
    place: Place,
    services: Services,
    name: str,
    form: str,
    output: Path | None,
    given: dict[str, Any],
) -> int:
    from tasks.guests.listing import EXPIRES, GuestListing, columns_of
    from tasks.guests.reading import Meant, read_listing
    from tasks.rows.fields import CONNECTION
    from worker.graph.guests import Also

    tenants = open_tenants(terminal, place, services, name)
    named = {key: given[key] for key in ("invited_before", "inactive", "enabled", "expires_within")}
    meant = Meant(given["state"] or "", domain=given["domain"] or "", without_sponsor=given["no_sponsor"], **named)
    more = {Also.ATTRIBUTES if column == EXPIRES else Also(column) for column in given["more"]}

    async def read(connection: Connection) -> tuple[GuestListing, int]:
        attribute = connection.clean.expiry_attribute
        choice = await meant.choose(services, attribute)
        also, hear = choice.needs | more, tenants.hear(connection.name, "guests")
        listing = GuestListing(columns_of(also), attribute)
        try:
            found = await read_listing(services, connection, choice, also, given["limit"], listing, hear)
        except BaseException:
            listing.close()
            raise
        for warning in found.warnings:
            terminal.warn(tenants.told_as(connection.name, warning))
        return listing, found.guests

    if not tenants.several:
        async for _, (listing, guests) in tenants.ask(read):
            with listing:
                finish_listing(terminal, listing, guests, form, output, "guest")
        return 0
    columns, guests = (CONNECTION, *columns_of((await meant.choose(services)).needs | more)), 0
    with GuestListing(columns) as together:
        async with aclosing(tenants.ask(read)) as asked:
            async for connection, (listing, count) in asked:
                with listing:
                    guests += count
                    for row in listing.rows():
                        together.put_row({CONNECTION: connection, **row})
        status = tenants.end()
        finish_listing(terminal, together, guests, form, output, "guest")
    return status
