"""`usher secrets`: when the secrets and certificates of a tenant's applications end, and which of
usher's own connections still keep one. Nothing is changed, and no secret is shown.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.ui.command_group import CommandGroup
from cli.ui.listing import choose_form, form_options
from cli.ui.options import Seconds
from cli.ui.session import Session
from cli.ui.working import work_on_ledger

if TYPE_CHECKING:
    from cli.ui.place import Place
    from cli.ui.terminal import Terminal
    from worker.services import Services


@click.group(cls=CommandGroup)
def secrets() -> None:
    """Show when the secrets and certificates of a tenant's applications end, and who of usher's own
    connections keeps one.
    """


@secrets.command("list")
@click.option(
    "-c",
    "--connection",
    metavar="NAME",
    help="The tenant, as a connection names it; several as A,B, tag:TAG or all. Else usher's own connections.",
)
@click.option("--within", "within_s", type=Seconds(), metavar="AGE", help="Only those that end so soon, such as 30d.")
@form_options
@click.pass_obj
def list_(
    session: Session, /, connection: str | None, within_s: float | None, form: str | None, output: Path | None
) -> int:
    """List the secrets and certificates of all applications of a tenant, the first to end first; or
    what usher's own connections sign in with, those first that still keep a secret.

    A tenant's needs Application.Read.All. Those that have ended are listed too, with days below
    zero, unless --within is given.
    """
    form = choose_form(form, output)
    if connection is None:
        return work_on_ledger(
            session, lambda terminal, _, services: _list_own(terminal, services, within_s, form, output)
        )
    return work_on_ledger(
        session, lambda terminal, place, services: _list(terminal, place, services, connection, within_s, form, output)
    )


async def _list_own(
    terminal: Terminal, services: Services, within_s: float | None, form: str, output: Path | None
) -> int:
    from tasks.own_credentials import COLUMNS, describe_own, find_own_credentials, tell_secrets

    now = datetime.fromtimestamp(services.clocks.redis_ms() / 1000, UTC)
    found = await find_own_credentials(services)
    chosen = found if within_s is None else [one for one in found if one.ends_within(now, within_s)]
    _write(terminal, COLUMNS, [describe_own(one, now) for one in chosen], form, output)
    terminal.say(tell_secrets(found))
    return 0


async def _list(
    terminal: Terminal,
    place: Place,
    services: Services,
    name: str,
    within_s: float | None,
    form: str,
    output: Path | None,
) -> int:
    from cli.guests.tenants import open_tenants
    from tasks.secrets import COLUMNS, choose_ending, describe_secret, find_secrets
    from tasks.telling.words import many, number

    tenants = open_tenants(terminal, place, services, name)
    now = datetime.fromtimestamp(services.clocks.redis_ms() / 1000, UTC)
    rows, count = [], 0
    async for connection, found in tenants.ask(lambda one: find_secrets(services, one, now)):
        count += len(found)
        chosen = found if within_s is None else choose_ending(found, now, within_s)
        rows += [{"connection": connection, **describe_secret(one, now)} for one in chosen]
    columns = ("connection", *COLUMNS) if tenants.several else COLUMNS
    _write(terminal, columns, [{column: row[column] for column in columns} for row in rows], form, output)
    whose = "these tenants'" if tenants.several else "this tenant's"
    to = f", written to {output}" if output else ""
    terminal.say(f"{number(len(rows))} of {many(count, 'credential')} of {whose} applications{to}.")
    return tenants.end()


def _write(
    terminal: Terminal, columns: tuple[str, ...], rows: list[dict[str, Any]], form: str, output: Path | None
) -> None:
    from cli.ui.terminal import build_table
    from tasks.results.write import write_rows

    if form != "table":
        write_rows(output, columns, rows, form)
    elif rows:
        terminal.show(build_table(columns, [[str(row[column]) for column in columns] for row in rows]))
