"""A scheduled list may name guests who wait in a job that somebody has paused, or that a run of
refusals holds: the schedule invites them all the same, and its run says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from tasks.rows.row import BadRow, ValidRow
from tasks.telling.words import many
from worker.addresses import guest_of
from worker.ledger.model import FINAL, JobState

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.services import Services

_LOOKED_BACK: Final = timedelta(days=60)
_MOST: Final = 200_000
"""Guests of paused jobs that are remembered, in some 30 MB."""


class Waiting:
    """Guests who wait in paused jobs of a connection, and those of them that a list names."""

    def __init__(self) -> None:
        self._job_of: dict[str, str] = {}
        self._met: Counter[str] = Counter()

    @classmethod
    async def find(cls, services: Services, connection: Connection) -> Waiting:
        """Read who waits. A job that waits for approval, or for its connection, is not among them:
        the schedule's job waits as it does.
        """
        found, since = cls(), datetime.now(UTC) - _LOOKED_BACK
        for view in await services.jobs.submitted_since(since, connection.name):
            if view.state is not JobState.PAUSED and (view.awaits_approval or not view.waits_for_a_person):
                continue
            async for contents in services.jobs.rows.chunks(view.id):
                for row, letter in zip(contents.rows, contents.letters, strict=True):
                    if letter not in FINAL:
                        found._job_of[guest_of(row)] = view.id
            if len(found._job_of) >= _MOST:
                break
        return found

    def met_by(self, rows: Iterable[ValidRow | BadRow]) -> Iterator[ValidRow | BadRow]:
        """Yield rows, and note those that wait elsewhere."""
        for row in rows:
            if isinstance(row, ValidRow) and self._job_of:
                job = self._job_of.pop(guest_of(row.row), None)
                self._met.update([job] if job else [])
            yield row

    def tell(self, job: str) -> str:
        """Return a sentence about guests of `job` who wait elsewhere; '' where there are none."""
        if not self._met:
            return ""
        said = ", ".join(f"{many(count, 'guest')} in job {other}" for other, count in self._met.items())
        first = next(iter(self._met))
        return (
            f" Guests of the list wait in a job that is paused ({said}); this run invites them all the same. If they"
            f" must not be invited, usher jobs cancel {job}; else usher jobs cancel {first}, which is of no use then."
        )
