"""What commands left running on a private stack is paused before another one starts its worker."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

from cli.ui.place import pause_left_behind
from tests.ledgers import Desk
from worker.ledger.model import JobState

_ON_A_PRIVATE_STACK: Any = SimpleNamespace(runs_on=False)


async def test_all_that_a_command_is_to_follow_runs_on(desk: Desk) -> None:
    """A submission's jobs are its own, every one; what nobody follows is paused and named."""
    first, second, left = [await desk.load(1) for _ in range(3)]
    for job in (first, second):
        await desk.jobs.watch(job, os.getpid())
    services: Any = SimpleNamespace(jobs=desk.jobs)
    unfinished = await pause_left_behind(_ON_A_PRIVATE_STACK, services, [first, second])
    states = {view.id: view.state for view in await desk.jobs.views([first, second, left])}
    assert states == {first: JobState.RUNNING, second: JobState.RUNNING, left: JobState.PAUSED}
    assert [view.id for view in unfinished] == [left]
