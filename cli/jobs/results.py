"""A job's results are written to a file that only its owner may read, or to stdout."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from config.errors import ConfigError
from tasks.jobs.finding import find_job
from tasks.jobs.submissions import match_submission
from tasks.lists.options import ListOptions
from tasks.results.reading import as_iterator, chosen_results, results_of_all, through_each
from tasks.results.table import WRITERS
from tasks.results.write import Wanted, Written, write_results, write_through
from tasks.rows.fields import CONNECTION
from tasks.safe_text import open_stdout
from tasks.telling.words import many

if TYPE_CHECKING:
    from cli.ui.place import Place
    from cli.ui.terminal import Terminal
    from worker.services import Services


async def write(terminal: Terminal, place: Place, job: str, wanted: Wanted) -> int:
    """Write the results of a job; returns the exit status. Raises `OutputError`, `InputError`,
    `Refusal`.
    """
    async with _open(terminal, place) as services:
        loop = asyncio.get_running_loop()
        submission = await match_submission(services, job)
        view = submission.total if submission else await find_job(services, job)
        wanted = replace(wanted, stages=tuple(view.stages), ahead=(CONNECTION,) if submission else ())

        def fetch(only: Collection[str]) -> Iterator[Mapping[str, Any]]:
            if submission is None:
                return as_iterator(chosen_results(services, view.id, only), loop)
            return as_iterator(results_of_all(services, submission.views, only), loop)

        if wanted.output is None and wanted.join is None:  # row by row: `| head` ends it early
            await asyncio.to_thread(WRITERS[wanted.format or "csv"], fetch(wanted.only), open_stdout(), wanted.whole)
            return 0
        if wanted.join is not None:  # read as it was read then, unless it is said otherwise
            said = {**view.info.get("read", {}), **wanted.options.to_dict()}
            wanted = replace(wanted, options=ListOptions.from_dict(said))
        if submission and wanted.join is not None:
            through = through_each(services, submission.views, loop)
            written = await asyncio.to_thread(write_through, wanted, through)
        else:
            written = await asyncio.to_thread(write_results, wanted, lambda: fetch(()))
    if wanted.output is None:
        return 0
    _tell(terminal, wanted, written)
    if terminal.quiet:
        terminal.print_json(
            {"submission" if submission else "job": view.id, "file": str(wanted.output), "rows": written.rows}
        )
    return 0


def _tell(terminal: Terminal, wanted: Wanted, written: Written) -> None:
    if written.left_over:
        left, one = many(written.left_over, "row"), written.left_over == 1
        terminal.warn(
            f"{left} of the job {'is' if one else 'are'} not in {wanted.join}; `usher jobs results` without --join has"
            " all of them."
        )
    rows = many(written.rows, "row")
    terminal.say(f"{rows} written to {wanted.output}, readable by you alone: it holds addresses and redeem links.")


@asynccontextmanager
async def _open(terminal: Terminal, place: Place) -> AsyncIterator[Services]:
    """Open the ledger with its key, for the links; without them where the key cannot be read."""
    from worker.errors import SealError

    sealed = True
    try:
        from worker.store.keyring import open_sealer

        open_sealer(place.settings)
    except (ConfigError, SealError) as error:
        sealed = False
        terminal.warn(f"{error} The redeem links are left out.")
    async with place.services(sealed=sealed) as services:
        yield services
