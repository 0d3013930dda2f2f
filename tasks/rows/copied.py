"""Rows that are tried again are copied out of the ledger first, then read like any other list.

They go through a nameless temporary file: the ledger is read asynchronously and a list is not, and
a million rows stay out of memory.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import IO

from tasks.rows.fields import INVALID
from tasks.rows.row import BadRow, ValidRow, validate_record
from worker.ledger.job_rows import JobRows
from worker.ledger.job_view import JobView
from worker.ledger.model import Options, RowState
from worker.operations.registry import find_operation


def open_copy() -> IO[str]:
    """Return the file that rows are copied to; a context manager, with which the copy ends."""
    return tempfile.TemporaryFile("w+", encoding="utf-8", errors="surrogatepass")


async def copy_refused(
    rows: JobRows, job: str, file: IO[str], wanted: Callable[[RowState, str], bool] = lambda state, code: True
) -> int:
    """Copy the rows of a job that failed or stayed in doubt, as they were submitted; return how
    many. `wanted` is asked by how each row ended. A row that was refused for a cell is left out:
    its cells were not kept, and its guest would be invited without them.
    """
    count = 0
    async for state, code, row in rows.refused(job):
        if code != INVALID and wanted(state, code):
            file.write(json.dumps(row) + "\n")
            count += 1
    file.seek(0)
    return count


def options_again(view: JobView) -> Options:
    """Return the options with which a job's rows are tried again.

    Where only stages failed the invitations are out, and nobody is mailed another one. A stage that
    tells the guest's link needs a new one, and so the invitation once more; Graph mails nothing on
    such a connection.
    """
    failed = [find_operation(name) for name, counts in view.stages.items() if counts.failed]
    if any(operation.tells_link for operation in failed):
        return replace(view.options, resend=True)
    resend = view.options.resend and bool(view.counts.failed + view.counts.in_doubt)
    return replace(view.options, resend=resend)


def read_copied(file: IO[str]) -> Iterator[ValidRow | BadRow]:
    """Yield the copied rows, checked anew."""
    for number, line in enumerate(file, 1):
        yield validate_record(json.loads(line), number)
