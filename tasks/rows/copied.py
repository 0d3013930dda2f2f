"""Rows that are tried again are copied out of the ledger first, then read like any other list.

They go through a nameless temporary file: the ledger is read asynchronously and a list is not, and
a million rows stay out of memory.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import IO, NamedTuple

from tasks.rows.fields import INVALID
from tasks.rows.row import BadRow, ValidRow, validate_record
from worker.ledger.job_rows import JobRows
from worker.ledger.job_view import JobView
from worker.ledger.model import RESEND, Options, RowState
from worker.operations.registry import OPERATIONS


class Copied(NamedTuple):
    """How many rows were copied, and how many were left out because a stage of them still goes
    on.
    """

    rows: int
    waiting: int


def open_copy() -> IO[str]:
    """Return the file that rows are copied to; a context manager, with which the copy ends."""
    return tempfile.TemporaryFile("w+", encoding="utf-8", errors="surrogatepass")


async def copy_refused(
    rows: JobRows, view: JobView, file: IO[str], wanted: Callable[[RowState, str], bool] = lambda state, code: True
) -> Copied:
    """Copy the rows of a job that failed or stayed in doubt, as they were submitted. `wanted` is
    asked by how each row ended. A row that was refused for a cell is left out: its cells were not
    kept, and its guest would be invited without them.

    Of a job that goes on later, rows are left out of which a stage waits: it will be done there.
    """
    count = waiting = 0
    telling_link = frozenset(name for name, operation in OPERATIONS.items() if operation.tells_link)
    async for refused in rows.refused(view.id, telling_link):
        if refused.code == INVALID or not wanted(refused.state, refused.code):
            continue
        if refused.waits and not view.ended:
            waiting += 1
            continue
        file.write(json.dumps(refused.row) + "\n")
        count += 1
    file.seek(0)
    return Copied(count, waiting)


def options_again(view: JobView) -> Options:
    """Return the options with which a job's rows are tried again. Whose guest is mailed on purpose
    is a fact of each row (`JobRows.refused`); who mails, of the new job.
    """
    return replace(view.options, resend=False, deliver=None)


def read_copied(file: IO[str]) -> Iterator[ValidRow | BadRow]:
    """Yield the copied rows, checked anew."""
    for number, line in enumerate(file, 1):
        record = json.loads(line)
        resend = record.pop(RESEND, False)
        row = validate_record(record, number)
        if resend and isinstance(row, ValidRow):
            row.row[RESEND] = True
        yield row
