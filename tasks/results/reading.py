"""The ledger is read asynchronously, and the writers of files are plain functions over plain
iterables: a few chunks' rows at a time cross over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tasks.results.table import ended_so
from tasks.rows.fields import CONNECTION

if TYPE_CHECKING:
    from worker.ledger.job_view import JobView
    from worker.services import Services

_ROWS_AHEAD = 1000
_LEAST_AHEAD = 20


async def chosen_results(services: Services, job: str, only: Collection[str]) -> AsyncIterator[dict[str, Any]]:
    """Yield the results of a job, or only the rows that ended so."""
    async for record in services.jobs.rows.results(job):
        if ended_so(record, only):
            yield record


async def results_of_all(
    services: Services, views: Iterable[JobView], only: Collection[str]
) -> AsyncIterator[dict[str, Any]]:
    """Yield the same of several jobs, one after the other, each with its connection. A bad row that
    is no connection's has the one that the list names: fed back it goes nowhere again.
    """
    for view in views:
        async for record in chosen_results(services, view.id, only):
            yield {CONNECTION: view.connection, **record}


def through_each(
    services: Services, views: Sequence[JobView], loop: asyncio.AbstractEventLoop
) -> dict[str, Callable[[], Iterator[Mapping[str, Any]]]]:
    """Return what reads the results of each connection's job, for another thread; together they are
    as far ahead as one.
    """
    ahead = max(_LEAST_AHEAD, _ROWS_AHEAD // max(1, len(views)))

    def read(view: JobView) -> Callable[[], Iterator[Mapping[str, Any]]]:
        return lambda: as_iterator(chosen_results(services, view.id, ()), loop, ahead)

    return {view.connection: read(view) for view in views}


def as_iterator(
    records: AsyncIterator[dict[str, Any]], loop: asyncio.AbstractEventLoop, ahead: int = _ROWS_AHEAD
) -> Iterator[Mapping[str, Any]]:
    """Return a plain iterator, for another thread, over records that `loop` reads in blocks."""

    async def take(most: int) -> list[dict[str, Any]]:
        taken: list[dict[str, Any]] = []
        async for record in records:
            taken.append(record)
            if len(taken) == most:
                break
        return taken

    def iterate() -> Iterator[Mapping[str, Any]]:
        while block := asyncio.run_coroutine_threadsafe(take(ahead), loop).result():
            yield from block

    return iterate()
