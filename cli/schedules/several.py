"""`usher schedules run` of a schedule over several connections: a run of each, fired now, and what
became of them all.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cli.schedules.firing import fire_now
from cli.schedules.showing import run_details
from tasks.errors import Refusal
from tasks.safe_text import clean
from tasks.telling.rounds import NEVER, Standing, find_standing
from worker.ledger.timetable import Timetable

if TYPE_CHECKING:
    from cli.ui.place import Place
    from cli.ui.terminal import Terminal
    from worker.ledger.timetable import Planned

_LOOK_S = 0.3
_LOOK_AGAIN_S = 1 / 2000  # more between two looks for each connection: each look reads them all
_SHOWN = 20


async def run_each(
    terminal: Terminal, place: Place, timetable: Timetable, planned: Planned, due_ms: int, wait_s: float
) -> int:
    """Fire a run of each connection, and wait until all have ended."""
    name, text = planned.schedule.name, planned.schedule.connection or ""
    connections = place.settings.members(text)
    if not connections:
        raise Refusal(f"Schedule {name} has no connection now ({text}); nothing was started.")
    await asyncio.to_thread(fire_now, name, due_ms, connections)
    until_s = asyncio.get_running_loop().time() + wait_s
    while True:
        standing = find_standing(connections, await timetable.latest(name), due_ms)
        if not _open(standing) or asyncio.get_running_loop().time() >= until_s:
            break
        await asyncio.sleep(_LOOK_S + len(connections) * _LOOK_AGAIN_S)
    status = 3 if _open(standing) else 0 if standing.worst == "ok" else 1
    runs = [run for one in connections if (run := await timetable.run(name, due_ms, one)) is not None]
    if terminal.quiet:
        told = {"schedule": name, "status": "waiting" if status == 3 else standing.worst}
        terminal.print_json(told | {"connections": standing.counts, "runs": [run_details(run) for run in runs]})
        return status
    terminal.show(f"{standing}.")
    troubled = [run for run in runs if run.ended_ms and run.status != "ok"]
    for run in troubled[:_SHOWN]:
        terminal.show(f"{run.connection}: {clean(run.what)}")
    if len(troubled) > _SHOWN:
        terminal.show(f"And {len(troubled) - _SHOWN:,} more: usher schedules show {name} --json")
    if status == 3:
        terminal.warn(f"Not all have ended; they go on: usher schedules show {name}")
    return status


def _open(standing: Standing) -> int:
    """Return how many of the runs have not ended."""
    return standing.counts[NEVER] + standing.counts["running"]
