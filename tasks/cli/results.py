"""Writing a job's results, to a file that only its owner may read or to stdout.

The writers are plain functions over plain iterables, the ledger is read asynchronously: a few chunks' rows at a time cross over.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.cli.finding import find_job
from tasks.cli.words import many
from tasks.results import WRITERS, save_results

if TYPE_CHECKING:
    from tasks.cli.place import Place
    from tasks.cli.terminal import Terminal
    from worker.services import Services

_ROWS_AHEAD = 1000


async def write(
    terminal: Terminal, place: Place, wanted: str, file_format: str, output: Path | None, only: tuple[str, ...]
) -> int:
    """Write the results of a job; returns the exit status. Raises `OutputError`, `Refusal`."""
    async with _open(terminal, place) as services:
        view = await find_job(services, wanted)
        records = _as_iterator(_chosen(services, view.id, only))
        if output is None:
            await asyncio.to_thread(WRITERS[file_format], records, sys.stdout)
            return 0
        count = await asyncio.to_thread(save_results, records, output, file_format)
    terminal.say(
        f"{many(count, 'row')} written to {output}, readable by you alone: it holds addresses and redeem links."
    )
    if terminal.quiet:
        terminal.print_json({"job": view.id, "file": str(output), "rows": count})
    return 0


@asynccontextmanager
async def _open(terminal: Terminal, place: Place) -> AsyncIterator[Services]:
    """Open the ledger with its key, for the links; without them where the key cannot be read."""
    from config import ConfigError
    from worker.errors import SealError

    sealed = True
    try:
        from worker.services import open_sealer

        open_sealer(place.settings)
    except (ConfigError, SealError) as error:
        sealed = False
        terminal.warn(f"{error} The redeem links are left out.")
    async with place.services(sealed=sealed) as services:
        yield services


async def _chosen(services: Services, job: str, only: tuple[str, ...]) -> AsyncIterator[dict[str, Any]]:
    async for record in services.jobs.results(job):
        if not only or record["status"] in only:
            yield record


def _as_iterator(records: AsyncIterator[dict[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Return a plain iterator, for another thread, over records that this event loop reads."""
    loop = asyncio.get_running_loop()

    async def take(most: int) -> list[dict[str, Any]]:
        taken: list[dict[str, Any]] = []
        async for record in records:
            taken.append(record)
            if len(taken) == most:
                break
        return taken

    def iterate() -> Iterator[Mapping[str, Any]]:
        while block := asyncio.run_coroutine_threadsafe(take(_ROWS_AHEAD), loop).result():
            yield from block

    return iterate()
