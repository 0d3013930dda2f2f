"""A guest whom a list has invited, and whose mark could not be written, is known by the index of
guests: the next run writes the mark. Nobody is taken away by that, for they are in the list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.services import Services

SOURCE = "source"
"""Of a job's info: the list's source."""


class Brought:
    """Who was invited lately by jobs of one list."""

    def __init__(self, services: Services, connection: Connection, source: str) -> None:
        self._services = services
        self._tenant_key = connection.tenant_key
        self._source = source
        self._jobs: dict[str, bool] = {}  # by id: whether it is one of the list's

    async def find(self, emails: Mapping[int, str]) -> set[int]:
        """Return those of some addresses whose guests a job of the list has invited. Raises
        redis-py's errors.
        """
        if not emails:
            return set()
        place = await self._services.index.place(self._tenant_key, emails)
        known = await self._services.ledger.find_invited(place, list(emails))
        return {row.index for row in known if await self._is_own(row.job)}

    async def _is_own(self, job: str) -> bool:
        if job not in self._jobs:
            view = await self._services.jobs.view(job)
            self._jobs[job] = view is not None and view.info.get(SOURCE) == self._source
        return self._jobs[job]
