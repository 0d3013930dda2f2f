"""A command that runs a job has these at hand, gets ready, and drops what it does not start."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.ui.interrupts import Interrupts
from cli.ui.place import Place, open_place, pause_left_behind, refuse_to_leave_running
from cli.ui.session import Session
from cli.ui.terminal import Terminal
from tasks.telling.words import many, number
from worker.ledger.job_view import JobView

if TYPE_CHECKING:
    from worker.services import Services

WAIT_S = 900.0
"""How long a command without a terminal waits through a hold that may end by itself."""


@dataclass(slots=True)
class Run:
    """What belongs together for the length of one command that runs a job."""

    session: Session
    terminal: Terminal
    interrupts: Interrupts
    place: Place

    def patience_s(self, wait_s: float | None) -> float | None:
        """How long to wait through a hold: as asked, else for ever where somebody watches, else 15
        minutes.
        """
        if wait_s is not None:
            return wait_s
        return None if self.terminal.live else WAIT_S


def work_on_jobs(session: Session, work: Callable[[Run, Services], Awaitable[int]], *, leaves: bool = False) -> int:
    """Do the work of a command that follows jobs. `leaves`: they are to run on without it. Raises
    `Refusal` where nothing runs them then, and what `open_place` and `Place.services` raise.
    """
    interrupts = Interrupts()

    async def do(run: Run) -> int:
        async with run.place.services() as services:
            return await work(run, services)

    with interrupts.caught():
        if leaves:
            refuse_to_leave_running()
        with open_place() as place:
            return asyncio.run(do(Run(session, Terminal(session), interrupts, place)))


async def get_ready(run: Run, services: Services, connection: str, own: Collection[str] = ()) -> None:
    """Name what earlier commands left behind, then have a worker. `own`: the jobs that are to run.
    Raises `StackError`.
    """
    for warning in filter(None, (run.place.unread, *run.place.warnings)):
        run.terminal.warn(warning)
    _name_unfinished(run.terminal, await pause_left_behind(run.place, services, own))
    run.place.need_worker(connection)


def _name_unfinished(terminal: Terminal, views: Sequence[JobView]) -> None:
    """Say which jobs of earlier commands wait to be resumed."""
    if not views:
        return
    told = ", ".join(
        f"{view.id} ({view.state.value}, {number(view.counts.pending)} of {many(view.counts.rows, 'row')} left)"
        for view in views[:3]
    )
    more = f" and {number(len(views) - 3)} more" if len(views) > 3 else ""
    verb = "approve" if all(view.awaits_approval for view in views) else "resume"
    example = f"usher jobs {verb} {views[0].id}" if len(views) == 1 else f"usher jobs {verb} ID"
    terminal.warn(f"{many(len(views), 'unfinished job')} from before: {told}{more}. To go on:", example)


@asynccontextmanager
async def dropping_unless_started(run: Run, drop: Callable[[], Awaitable[bool]]) -> AsyncIterator[None]:
    """Drop what was loaded where the block that tells the plan, asks and starts it is left by an
    error. `drop` returns False of what runs already, which goes on.
    """
    try:
        yield
    except BaseException:
        if await drop():
            run.session.accepted = ""
        raise
