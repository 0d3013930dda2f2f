"""The head of a list shows how it is read: its first rows, its columns, what is wrong so far.

Nobody waits for a list of a million rows to see that the wrong column was taken.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tasks.rows.row import BadRow, ValidRow

if TYPE_CHECKING:
    from tasks.lists.guest_list import GuestList

MOST_ROWS: Final = 1000
_SHOWN: Final = 5
_SHOWN_BAD: Final = 50
_WITHIN_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Preview:
    """How a list begins. `whole`: that was all of it. `headings`: the file's; none in JSONL."""

    format: str
    description: tuple[str, ...]
    headings: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]
    rows: int
    whole: bool
    first: tuple[ValidRow, ...] = field(repr=False)
    bad: tuple[BadRow, ...] = field(repr=False)
    bad_count: int
    warnings: tuple[str, ...]


def read_preview(guests: GuestList, *, most_rows: int = MOST_ROWS, within_s: float = _WITHIN_S) -> Preview:
    """Read the head of an open list. Raises `InputError`, and `Ambiguity` where a row raises it."""
    until_s = time.monotonic() + within_s
    first: list[ValidRow] = []
    bad: list[BadRow] = []
    rows = bad_count = 0
    whole = True
    for row in guests.rows():
        if rows >= most_rows or (rows % 100 == 99 and time.monotonic() > until_s):
            whole = False
            break
        rows += 1
        if isinstance(row, BadRow):
            bad_count += 1
            if len(bad) < _SHOWN_BAD:
                bad.append(row)
        elif len(first) < _SHOWN:
            first.append(row)
    reader = guests.reader
    headings = tuple(" ".join(cell.split()) for cell in reader.top[-1]) if reader.top else ()
    return Preview(
        guests.format,
        tuple(reader.description),
        headings,
        tuple(reader.read),
        rows,
        whole,
        tuple(first),
        tuple(bad),
        bad_count,
        tuple(guests.warnings),
    )
