"""How many of a job's guests have accepted since is asked of the tenant now, by their object ids,
300 a call.

Whoever was invited, reminded or reset had not accepted when it was done to them, so whoever has
accepted now did so since.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from tasks.side_by_side import Unasked, ask_each
from worker.directory.guests import MAY_NOT_READ_USERS
from worker.directory.lookups import LookUps, WhyNot
from worker.directory.reader import WAITS_S, Asker
from worker.errors import DirectoryUnread
from worker.graph.batch import BATCH_LIMIT
from worker.graph.users import CLAUSES, DirectoryUser
from worker.ledger.model import RowState

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.ledger.job_view import JobView
    from worker.services import Services

_AT_ONCE = CLAUSES * BATCH_LIMIT


@dataclass(slots=True)
class Acceptance:
    """How a job's guests stand now: those to whom it was done. `gone`: no longer in the tenant;
    `unknown`: neither accepted nor pending, as far as the tenant tells.
    """

    guests: int = 0
    accepted: int = 0
    pending: int = 0
    unknown: int = 0
    gone: int = 0

    def add(self, user: DirectoryUser | None) -> None:
        """Count one guest as the tenant shows them, None: it does not."""
        self.guests += 1
        if user is None:
            self.gone += 1
        elif user.accepted:
            self.accepted += 1
        elif user.pending:
            self.pending += 1
        else:
            self.unknown += 1

    def add_all(self, other: Acceptance) -> None:
        """Count the guests of another job, too."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))


async def count_accepted_of_all(
    services: Services, views: Sequence[JobView], heard: Callable[[int], None]
) -> tuple[Acceptance, list[tuple[str, str]]]:
    """Ask how the guests of several jobs stand, a few tenants side by side; returns the sum, and
    why some could not be asked, by connection. Raises redis-py's outages.
    """
    jobs, counted, unread = {view.id: view for view in views}, Acceptance(), []
    looked: dict[str, int] = {}

    def count(job: str) -> Awaitable[Acceptance]:
        def hear(guests: int) -> None:
            looked[job] = guests
            heard(sum(looked.values()))

        return count_accepted(services, jobs[job], hear)

    async with aclosing(ask_each(jobs, count)) as each:
        async for job, found in each:
            if isinstance(found, Unasked):
                unread.append((jobs[job].connection, found.why))
            else:
                counted.add_all(found)
    return counted, unread


async def count_accepted(services: Services, view: JobView, heard: Callable[[int], None]) -> Acceptance:
    """Ask how a job's guests stand; `heard` is told how many were asked for so far.

    Raises `DirectoryUnread`, `TokenError`, `config.UnknownConnection` and redis-py's outages.
    """
    connection = await services.resolved(view.connection)
    looks = LookUps(services, Asker(services, connection))
    counted = Acceptance()
    async for ids in _ids(services, view.id):
        users = await _find(looks, connection, ids)
        for user_id in ids:
            counted.add(users.get(user_id))
        heard(counted.guests)
    return counted


async def _ids(services: Services, job: str) -> AsyncIterator[list[str]]:
    """Yield the ids of the guests to whom a job was done, some at a time; each once in a part."""
    ids: dict[str, None] = {}
    async for contents in services.jobs.rows.chunks(job):
        for letter, outcome in zip(contents.letters, contents.outcomes, strict=True):
            if letter == RowState.DONE.value and outcome is not None and outcome.user_id:
                ids[outcome.user_id] = None
        while len(ids) >= _AT_ONCE:
            part, rest = list(ids)[:_AT_ONCE], list(ids)[_AT_ONCE:]
            yield part
            ids = dict.fromkeys(rest)
    if ids:
        yield list(ids)


async def _find(looks: LookUps, connection: Connection, ids: list[str]) -> dict[str, DirectoryUser]:
    """Find users by id, waiting where Graph is busy. Raises `DirectoryUnread`."""
    users: dict[str, DirectoryUser] = {}
    left = ids
    for wait_s in (*WAITS_S, 0.0):
        found = await looks.find(connection, left)
        if found.why_not is WhyNot.MAY_NOT:
            raise DirectoryUnread(MAY_NOT_READ_USERS.format(connection.name))
        users |= found.users or {}
        left = [one for one in left if found.why_not_of(one)]
        if not left:
            return users
        await asyncio.sleep(max(wait_s, found.delay.stop.wait_s if found.delay else 0.0))
    raise DirectoryUnread(f"Graph gave no answer about some guests of {connection.name}: try again later.")
