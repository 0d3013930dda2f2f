"""`usher guests funnel`: how far a tenant's guests have come, as a table or a picture."""

from __future__ import annotations

from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.guests.tenants import Tenants, open_tenants, tenants_option
from cli.ui.listing import choose_form, form_options
from cli.ui.options import json_option
from cli.ui.session import Session
from cli.ui.working import work_on_ledger

if TYPE_CHECKING:
    from cli.ui.place import Place
    from cli.ui.terminal import Terminal
    from config.connections import Connection
    from tasks.guests.funnel import Funnel
    from tasks.guests.listing import GuestListing
    from worker.services import Services

_NAMELESS = {"week": "(no date)", "domain": "(no address)", "job": "(not by usher)"}


@click.command()
@tenants_option
@click.option(
    "--by",
    type=click.Choice(("week", "domain", "job")),
    help="A line for each week in which guests came, each domain, or each job that invited them.",
)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.svg|png",
    help="Draw it, too (0600). Needs the extra 'plot'.",
)
@form_options
@json_option("One JSON object: `total`, and `rows` where there is more than one line.")
@click.pass_obj
def funnel(
    session: Session, connection: str, by: str | None, plot: Path | None, form: str | None, output: Path | None
) -> int:
    """Count how many guests a tenant has, how many have accepted and how many wait. Nothing is
    changed, and no right to change anything is needed.

    accepted_percent is of those whose state is known. By job: as far as usher remembers whom it
    invited. Of several tenants there is a line for each, and --plot draws all of them together.
    """
    form = choose_form(form, output)
    if plot is not None:
        from tasks.guests.funnel_picture import check_picture

        check_picture(plot)
    return work_on_ledger(
        session,
        lambda terminal, place, services: _funnel(terminal, place, services, connection, by, plot, form, output),
        sealed=True,
    )


async def _funnel(
    terminal: Terminal,
    place: Place,
    services: Services,
    name: str,
    by: str | None,
    plot: Path | None,
    form: str,
    output: Path | None,
) -> int:
    from tasks.guests.counting import count_guests
    from tasks.guests.funnel import By, Funnel, columns_of, describe_counts
    from tasks.guests.listing import GuestListing
    from tasks.rows.fields import CONNECTION
    from tasks.telling.words import many

    tenants, parted = open_tenants(terminal, place, services, name), By(by) if by else By.ALL

    async def count(connection: Connection) -> Funnel:
        return await count_guests(services, connection, parted, tenants.hear(connection.name, "guests"))

    together, columns = Funnel(parted), columns_of(parted)
    columns = (CONNECTION, *columns) if tenants.several else columns
    with GuestListing(columns) as lines:
        async with aclosing(tenants.ask(count)) as asked:
            async for connection, counted in asked:
                together.add_all(counted)
                for row in counted.rows():
                    lines.put_row({CONNECTION: connection, **row} if tenants.several else row)
        status = tenants.end()
        on = datetime.fromtimestamp(services.clocks.redis_ms() / 1000, UTC).date().isoformat()
        if plot is not None:
            from tasks.guests.funnel_picture import draw_funnel

            title = many(len(tenants.names) - len(tenants.unasked), "tenant") if tenants.several else name
            draw_funnel(together, title, on, plot)
        if output is not None or (form != "table" and not terminal.quiet):
            lines.write(form, output)
        elif not terminal.quiet:
            _show(terminal, tenants, together, lines)
        if terminal.quiet:
            total = describe_counts(together.total)
            one = {} if tenants.several else {"connection": name}
            rows = {"rows": list(lines.rows())} if tenants.several or parted is not By.ALL else {}
            terminal.print_json({**one, "on": on, "by": by, "total": total, **rows, **tenants.describe_unasked()})
    files = [str(path) for path in (output, plot) if path is not None]
    if files:
        terminal.say(f"Written to {' and '.join(files)}.")
    return status


def _show(terminal: Terminal, tenants: Tenants, together: Funnel, lines: GuestListing) -> None:
    from cli.ui.terminal import build_facts, build_table
    from tasks.guests.funnel import COUNTS, By, describe_counts

    total, by = describe_counts(together.total), together.by
    if by is By.ALL and not tenants.several:
        terminal.show(build_facts((name.replace("_", " "), _cell(total[name])) for name in COUNTS))
        return
    ahead = [column for column in lines.columns if column not in COUNTS]
    rows = [
        [*(row[column] or _NAMELESS[column] for column in ahead), *(_cell(row[name]) for name in COUNTS)]
        for row in lines.rows()
    ]
    rows.append(["all", *[""] * (len(ahead) - 1), *(_cell(total[name]) for name in COUNTS)])
    terminal.show(build_table(lines.columns, rows, right=COUNTS))


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:g}"
