"""`usher connections remove`: out of the configuration; keys, secrets, jobs and results stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.ui.confirming import confirm
from cli.ui.options import json_option
from cli.ui.session import Session
from cli.ui.working import work_on_ledger
from tasks.errors import Refusal

if TYPE_CHECKING:
    from pathlib import Path

    from cli.ui.place import Place
    from cli.ui.terminal import Terminal
    from config.connections import Connection
    from worker.ledger.job_view import JobView
    from worker.services import Services

_LOOKED_THROUGH = 10_000  # newest jobs, of which all that are open are few
_SHOWN = 3


@click.command()
@click.argument("name")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option(
    "--with-open-jobs", "forced", is_flag=True, help="Though jobs of it have not ended: their rows wait then."
)
@json_option("One JSON object instead of sentences.")
@click.pass_obj
def remove(session: Session, name: str, yes: bool, forced: bool) -> int:
    """Remove a connection from the configuration file, or its line from connections_file, once its
    jobs have ended. Workers notice within seconds.

    Files with its key or secret stay, and so do jobs and results.
    """
    return work_on_ledger(
        session, lambda terminal, place, services: _remove(terminal, place, services, name, yes=yes, forced=forced)
    )


async def _remove(terminal: Terminal, place: Place, services: Services, name: str, *, yes: bool, forced: bool) -> int:
    from config.listing import find_line, remove_line
    from config.writing import remove_table

    listed = place.settings.listed
    is_listed = listed is not None and name in listed.connections
    file = listed.path if listed is not None and is_listed else place.settings.source
    if place.is_built_in(name):
        raise Refusal(f"{name} is built in and stands in no file; nothing was removed.")
    connection = place.settings.connection(name)
    if file is None:
        raise Refusal(f"Connection {name} stands in the environment, not in a file: remove it there.")
    open_jobs = [view for view in await services.jobs.listed(newest=_LOOKED_THROUGH) if view.connection == name]
    open_jobs = [view for view in open_jobs if not view.ended]
    if open_jobs and not forced:
        raise Refusal(_still_open(name, open_jobs))
    if terminal.interactive and not yes:
        waiting = " Rows of its open jobs wait until it is there again." if open_jobs else ""
        question = f"Remove connection {name} (tenant {connection.tenant_id}) from {file}?{waiting}"
        confirm(terminal, question, "removed")
    cells, line = find_line(place.settings, name) if is_listed else ({}, "")
    if is_listed:
        remove_line(place.settings, name)
    else:
        remove_table(file, "connections", name)
    _tell(terminal, name, file, connection)
    if line:
        terminal.show("Its line was, with its settings; keep it if the customer may come back:", line)
    if terminal.quiet:
        told = {"connection": name, "file": str(file), "removed": True}
        terminal.print_json({**told, "line": cells} if line else told)
    return 0


def _still_open(name: str, views: list[JobView]) -> str:
    told = ", ".join(f"{view.id} ({view.state.value})" for view in views[:_SHOWN])
    more = f" and {len(views) - _SHOWN} more" if len(views) > _SHOWN else ""
    jobs = "Job" if len(views) == 1 else "Jobs"
    have = "has" if len(views) == 1 else "have"
    return (
        f"{jobs} {told}{more} of connection {name} {have} not ended, so nothing was removed: wait for the end, or"
        f" cancel first (usher jobs cancel {views[0].id}). With --with-open-jobs the connection goes all the same, and"
        " their rows wait."
    )


def _tell(terminal: Terminal, name: str, file: Path, connection: Connection) -> None:
    """Say what was removed, and which files of its credential are left."""
    terminal.show(f"Connection {name} is no longer in {file}.")
    kept = [reference.target for reference in connection.references if reference.kind == "file"]
    if kept and not connection.app:
        terminal.show(f"Left as it is, to be deleted if nothing else uses it: {', '.join(map(str, kept))}")
