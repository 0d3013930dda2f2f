"""`--dry-run` shows how far it has looked, and writes the list with what would become of it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.forecast.list_file import ForeseenRows, write_foreseen
from tasks.results.files import check_writable
from tasks.submission.planning import foresee
from tasks.telling.words import number

if TYPE_CHECKING:
    from cli.invite.request import Request
    from cli.ui.terminal import Terminal
    from tasks.forecast.dry_run import Forecast
    from tasks.forecast.plan import Plan
    from tasks.forecast.rows import ForeseenRow
    from tasks.submission.preparing import Prepared
    from worker.services import Services


async def look(terminal: Terminal, services: Services, request: Request, prepared: Prepared) -> tuple[Plan, Forecast]:
    """Look at the tenant and at every row, and write the list where one is wanted. Raises
    `TokenRefused`, `OutputError`.
    """
    terminal.status("Asking the tenant")
    with keeping(request) as kept:

        def hear(row: ForeseenRow) -> None:
            if kept is not None:
                kept.add(row)
            terminal.count(f"Looking at row {number(row.number)} of {number(prepared.loaded.rows)}")

        found = await foresee(services, request, prepared, hear)
        if kept is not None:
            await write_kept(terminal, request, kept, [stage.name for stage in prepared.stages])
    terminal.status("")
    return found


@contextmanager
def keeping(request: Request) -> Iterator[ForeseenRows | None]:
    """Keep what is foreseen for the block, where a list of it is wanted; else None. Raises
    `OutputError` where it could not be written.
    """
    if not request.output:
        yield None
        return
    check_writable(request.output)
    with tempfile.TemporaryFile() as file:
        yield ForeseenRows(file)


async def write_kept(terminal: Terminal, request: Request, kept: ForeseenRows, stages: Collection[str]) -> None:
    """Write the list with what would become of each row. Raises `OutputError`."""
    terminal.status(f"Writing {request.output}")
    own = (Path(request.output), kept, request.fields_seen, request.guests, request.reopen)
    await asyncio.to_thread(write_foreseen, *own, stages)


def tell_written(terminal: Terminal, request: Request) -> None:
    """Say where the list is, if one was wanted."""
    if request.output:
        terminal.show("", f"Every row with what would become of it is in {request.output}.")
