"""Jobs of the private stack run while somebody follows them: a server follows all of them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from worker.ledger.jobs import FOLLOWED_S
from worker.ledger.model import JobState
from worker.store.client import OUTAGE

if TYPE_CHECKING:
    from worker.ledger.jobs import Jobs

_NEWEST: Final = 200


async def follow_all(jobs: Jobs, pid: int) -> None:
    """Say again and again that running jobs are followed by this process; those that a command
    follows are its own. Ends when cancelled.
    """
    while True:
        with suppress(*OUTAGE):
            for view in await jobs.listed(newest=_NEWEST):
                if view.state in (JobState.RUNNING, JobState.HELD):
                    await jobs.watch(view.id, pid)
        await asyncio.sleep(FOLLOWED_S / 4)
