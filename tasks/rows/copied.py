"""Rows that are tried again are copied out of the ledger first, then read like any other list.

They go through a nameless temporary file: the ledger is read asynchronously and a list is not, and
a million rows stay out of memory.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from typing import IO

from tasks.rows.row import BadRow, ValidRow, validate_record
from worker.ledger.job_rows import JobRows
from worker.ledger.model import RowState


def open_copy() -> IO[str]:
    """Return the file that rows are copied to; a context manager, with which the copy ends."""
    return tempfile.TemporaryFile("w+", encoding="utf-8", errors="surrogatepass")


async def copy_refused(
    rows: JobRows, job: str, file: IO[str], wanted: Callable[[RowState, str], bool] = lambda state, code: True
) -> int:
    """Copy the rows of a job that failed or stayed in doubt, as they were submitted; return how
    many. `wanted` is asked by how each row ended.
    """
    count = 0
    async for state, code, row in rows.refused(job):
        if wanted(state, code):
            file.write(json.dumps(row) + "\n")
            count += 1
    file.seek(0)
    return count


def read_copied(file: IO[str]) -> Iterator[ValidRow | BadRow]:
    """Yield the copied rows, checked anew."""
    for number, line in enumerate(file, 1):
        yield validate_record(json.loads(line), number)
