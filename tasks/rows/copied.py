"""Rows that are tried again are copied out of the ledger first, then read like any other list.

They go through a nameless temporary file: the ledger is read asynchronously and a list is not, and
a million rows stay out of memory.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import IO, Any, NamedTuple

from config.values import is_guid
from tasks.rows.field_rules import RULES
from tasks.rows.fields import INVALID, stage_of
from tasks.rows.row import BadRow, ValidRow, validate_record
from worker.ledger.job_rows import JobRows
from worker.ledger.job_view import JobView
from worker.ledger.model import Options, RowState
from worker.operations.registry import OPERATIONS


class Copied(NamedTuple):
    """How many rows were copied, and how many left out: a stage of them still goes on."""

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
    """Yield the copied rows, checked anew; what usher itself had put into them stays with them."""
    for number, line in enumerate(file, 1):
        yield _read(json.loads(line), number)


def _read(record: dict[str, Any], number: int) -> ValidRow | BadRow:
    own = {name: value for name, value in record.items() if name not in RULES and not stage_of(name)}
    given = {name: value for name, value in record.items() if name not in own}
    row = validate_record(given, number)
    if isinstance(row, BadRow) and row.column == "email" and ("user_id" in own or is_guid(row.email)):
        row = validate_record({**given, "email": _ANY_ADDRESS}, number)  # the id says who it is
        if isinstance(row, ValidRow):
            row.row["email"] = given.get("email") or ""
    if isinstance(row, ValidRow):
        row.row.update(own)
    return row


_ANY_ADDRESS = "guest@example.com"
