"""`usher guests funnel`: how far a tenant's guests have come, as a table or a picture."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.ui.listing import choose_form, form_options
from cli.ui.options import json_option
from cli.ui.session import Session
from cli.ui.working import work_on_ledger

if TYPE_CHECKING:
    from cli.ui.place import Place
    from cli.ui.terminal import Terminal
    from tasks.guests.funnel import Funnel
    from worker.services import Services

_NAMELESS = {"week": "(no date)", "domain": "(no address)", "job": "(not by usher)"}


@click.command()
@click.option("-c", "--connection", required=True, metavar="NAME", help="The tenant, as a connection names it.")
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
    invited.
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
    from tasks.guests.funnel import By, columns_of, describe_counts
    from tasks.results.write import write_rows
    from tasks.telling.words import number

    if place.is_built_in(name):
        place.need_worker(name)  # the sandbox runs beside a worker
    connection = await services.resolved(name)

    def heard(read: int, total: int | None) -> None:
        terminal.count(f"{number(read)}{f' of {number(total)}' if total is not None else ''} guests read")

    counted = await count_guests(services, connection, By(by) if by else By.ALL, heard)
    terminal.status("")
    on = datetime.fromtimestamp(services.clocks.redis_ms() / 1000, UTC).date().isoformat()
    if plot is not None:
        from tasks.guests.funnel_picture import draw_funnel

        draw_funnel(counted, name, on, plot)
    if output is not None or (form != "table" and not terminal.quiet):
        write_rows(output, columns_of(counted.by), counted.rows(), form)
    elif not terminal.quiet:
        _show(terminal, counted)
    if terminal.quiet:
        total = describe_counts(counted.total)
        rows = {"rows": list(counted.rows())} if counted.by is not By.ALL else {}
        terminal.print_json({"connection": name, "on": on, "by": by, "total": total, **rows})
    files = [str(path) for path in (output, plot) if path is not None]
    if files:
        terminal.say(f"Written to {' and '.join(files)}.")
    return 0


def _show(terminal: Terminal, counted: Funnel) -> None:
    from cli.ui.terminal import build_facts, build_table
    from tasks.guests.funnel import COUNTS, By, describe_counts

    total = describe_counts(counted.total)
    if counted.by is By.ALL:
        terminal.show(build_facts((name.replace("_", " "), _cell(total[name])) for name in COUNTS))
        return
    rows = [
        [row[counted.by.value] or _NAMELESS[counted.by.value], *(_cell(row[name]) for name in COUNTS)]
        for row in counted.rows()
    ]
    rows.append(["all", *(_cell(total[name]) for name in COUNTS)])
    terminal.show(build_table((counted.by.value, *COUNTS), rows, right=COUNTS))


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:g}"
