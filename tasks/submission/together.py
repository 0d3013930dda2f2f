"""Loaded jobs, each through a connection, begin together as one submission, or are dropped without
a trace. Until then nothing of them can be sent.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.submit import Loaded, drop, start_together
from worker.ledger.lists.submissions import new_submission_id
from worker.store.client import OUTAGE

if TYPE_CHECKING:
    from worker.ledger.model import JobState
    from worker.services import Services


@dataclass(slots=True)
class Together:
    """The jobs of a submission that is being prepared, with their connections."""

    services: Services
    id: str = field(default_factory=new_submission_id)
    loaded: list[tuple[str, Loaded]] = field(default_factory=list)

    def add(self, connection: str, *loaded: Loaded) -> None:
        """Take jobs of one connection, which begin in this order."""
        self.loaded += [(connection, one) for one in loaded]

    async def leave_out(self, connection: str) -> None:
        """Drop the jobs of one connection."""
        mine = [one for name, one in self.loaded if name == connection]
        self.loaded = [pair for pair in self.loaded if pair[0] != connection]
        for one in mine:
            await drop(self.services.jobs, one)

    @property
    def jobs(self) -> dict[str, str]:
        """The jobs with their connections."""
        return {one.job: name for name, one in self.loaded}

    async def start(self) -> dict[str, JobState]:
        """Let all jobs run in one moment: from now on the rows are accepted. Returns how each
        stands then; one that somebody removed meanwhile is left out.
        """
        await self.services.jobs.submissions.note(self.id, self.jobs)
        return await start_together(self.services.jobs, [one for _, one in self.loaded])

    async def drop(self) -> bool:
        """Remove the jobs; nothing of them was sent. False: they run, although whoever started them
        may have heard of a failure, and they stay.
        """
        dropped = False
        with suppress(*OUTAGE):  # what nobody starts goes by itself
            for _, one in self.loaded:
                if await drop(self.services.jobs, one):
                    dropped = True
                    await self.services.jobs.submissions.drop(self.id, one.job)
        return dropped
