"""`usher guests undo`: what a job did to guests is undone, row by row."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from cli.ui.interrupts import Interrupts
from cli.ui.options import follow_options
from cli.ui.session import Session

if TYPE_CHECKING:
    from cli.follow.run import Run


@click.command()
@click.argument("job", metavar="JOB")
@click.option("--dry-run", is_flag=True, help="Show what would be undone; do nothing.")
@click.option("--most", type=click.IntRange(min=0), metavar="N", help="Do nothing at all to more than N guests.")
@follow_options
@click.pass_obj
def undo(session: Session, /, job: str, **given: Any) -> int:
    """Enable again whom a job disabled, and restore whom it deleted. Without --yes nothing is done:
    what would be is shown row by row.

    Rows that cannot be undone fail, each with the reason: whoever was deleted for good, was
    invited, or mailed.
    """
    from cli.follow.run import Run
    from cli.ui.place import open_place, refuse_to_leave_running
    from cli.ui.terminal import Terminal

    given["dry_run"] = given["dry_run"] or not given["yes"]
    if given["detach"] and not given["dry_run"]:
        refuse_to_leave_running()
    terminal, interrupts = Terminal(session), Interrupts()
    with interrupts.caught(), open_place() as place:
        return asyncio.run(_undo(Run(session, terminal, interrupts, place), job, given))


async def _undo(run: Run, wanted: str, given: dict[str, Any]) -> int:
    from cli.guests.flow import open_tenant, run_rows
    from tasks.guests.undoing import copy_done, read_undone, refuse_undo
    from tasks.jobs.finding import find_job
    from tasks.rows.copied import open_copy

    async with run.place.services() as services:
        view = await find_job(services, wanted)
        refuse_undo(view)
        connection = await open_tenant(run, services, view.connection)
        with open_copy() as file:
            await copy_done(services, view, file)
            return await run_rows(
                run,
                services,
                connection,
                read_undone(file),
                operation="undo",
                name=f"undo of {view.id}",
                info={"undo_of": view.id},
                dry=given["dry_run"],
                **{key: given[key] for key in ("yes", "detach", "wait_s", "most")},
            )
