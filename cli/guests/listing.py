"""`usher guests list`: which guests a tenant has, as a table, CSV or JSON lines."""

from __future__ import annotations

from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.ui.errors import Refusal
from cli.ui.listing import choose_form, finish_listing, output_options
from cli.ui.session import Session
from cli.ui.working import work_on_ledger

if TYPE_CHECKING:
    from cli.ui.place import Place
    from cli.ui.terminal import Terminal
    from config.connections import Connection
    from tasks.guests.choice import Choice
    from tasks.guests.listing import GuestListing
    from worker.graph.guests import Also
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
@click.option("-c", "--connection", required=True, metavar="NAME", help="The tenant, as a connection names it.")
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
@click.option("--domain", metavar="DOMAIN", help="Only addresses of this domain, its subdomains too.")
@click.option("--no-sponsor", is_flag=True, help="Only who has no sponsor.")
@click.option("--enabled/--disabled", default=None, help="Only who may sign in, or may not.")
@click.option(
    "--with",
    "more",
    multiple=True,
    type=click.Choice(("sponsors", "last_sign_in")),
    help="A further column. May be given twice.",
)
@output_options
@click.pass_obj
def list_(session: Session, /, connection: str, form: str | None, output: Path | None, **given: Any) -> int:
    """List the guests that a tenant has. Nothing is changed, and no right to change anything is
    needed.
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
    from tasks.guests.listing import GuestListing, columns_of
    from worker.errors import DirectoryUnread
    from worker.graph.guests import Also

    if place.is_built_in(name):
        place.need_worker(name)  # the sandbox runs beside a worker
    connection = await services.resolved(name)
    choice, limit = await _choose(services, given), given["limit"]
    also = choice.needs | {Also(column) for column in given["more"]}
    with GuestListing(columns_of(also)) as listing:
        try:
            read = await _read(terminal, services, connection, choice, also, limit, listing)
        except DirectoryUnread as unread:
            if not unread.missing or Also.SIGN_INS in choice.needs:
                raise
            terminal.warn(f"{unread} The column last_sign_in is left out.")
            also -= {Also.SIGN_INS}
            listing.columns = columns_of(also)
            read = await _read(terminal, services, connection, choice, also, limit, listing)
        finish_listing(terminal, listing, read, form, output, "guest")
    return 0


async def _choose(services: Services, given: dict[str, Any]) -> Choice:
    """Return which guests are meant; ages count on Redis's clock."""
    from config.values import fold_domain
    from tasks.guests.choice import Choice
    from worker.graph.guests import GuestState
    from worker.store.client import read_time_ms

    now = datetime.fromtimestamp(await read_time_ms(services.client) / 1000, UTC)

    def ago(age: timedelta | None) -> datetime | None:
        return now - age if age else None

    return Choice(
        state=GuestState(given["state"]) if given["state"] else None,
        invited_before=ago(given["invited_before"]),
        inactive_since=ago(given["inactive"]),
        domain=fold_domain((given["domain"] or "").lstrip("@")),
        without_sponsor=given["no_sponsor"],
        enabled=given["enabled"],
    )


async def _read(
    terminal: Terminal,
    services: Services,
    connection: Connection,
    choice: Choice,
    also: frozenset[Also],
    limit: int | None,
    listing: GuestListing,
) -> int:
    """Put the guests that are meant into the listing; return how many were read. Raises `Refusal`
    where the tenant shows nobody's dates of signing in.
    """
    from cli.ui.words import number
    from worker.directory.guests import GuestReader
    from worker.graph.guests import Also, GuestState

    read, dated = 0, False
    asks_dates = Also.SIGN_INS in also
    pages = GuestReader(services, connection).pages(also, pending=choice.state is GuestState.PENDING)
    async with aclosing(pages):
        async for page in pages:
            if page.begins:
                listing.begin()
                read = 0
            for guest in page.guests:
                read += 1
                dated = dated or guest.signed_in_at is not None
                if (limit is None or listing.count < limit) and choice.takes(guest):
                    listing.put(guest)
            of = f" of {number(page.total)}" if page.total is not None else ""
            terminal.count(f"{number(read)}{of} guests read")
            if listing.count == limit and (dated or not asks_dates):
                break
    if asks_dates and read and not dated:
        nobody = (
            f"No guest of {connection.name} has a date of signing in: such a tenant shows them to nobody (it needs"
            " Entra ID P1 or P2), which does not mean that nobody signs in."
        )
        if Also.SIGN_INS in choice.needs:
            raise Refusal(f"{nobody} So who is inactive cannot be told, and nobody is listed.")
        terminal.warn(nobody)
    return read
