"""Cells tell which column of a list holds the addresses, where the headings leave that open.

One column of addresses is the column of addresses, whatever its heading says; two are a question.
Rows from the beginning are looked at; that a later one does not speak against it is watched while
the list is read (`records.WithColumns.check_rivals`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Final

from tasks.rows.cleaning import holds_address

SAMPLE_ROWS: Final = 500
"""Rows looked at, from the beginning."""
SAMPLE_CELLS: Final = 200_000
"""Cells looked at: few rows of a list that has thousands of columns."""

Rows = Sequence[Sequence[str]]


def find_address_columns(rows: Rows) -> list[int]:
    """Return the columns of which at least half of the cells that hold anything are addresses; a
    remark with one is none.
    """
    addresses = Counter(index for cells in rows for index, cell in enumerate(cells) if holds_address(cell))
    return [
        column
        for column in sorted(addresses)
        if 2 * addresses[column] >= sum(1 for cells in rows if column < len(cells) and cells[column].strip())
    ]


def find_only(rows: Rows, among: Collection[int]) -> int | None:
    """Return the one of these columns with an address in any row; None for none, or several."""
    found = [column for column in among if any(column < len(cells) and holds_address(cells[column]) for cells in rows)]
    return found[0] if len(found) == 1 else None


def is_empty(rows: Rows, column: int) -> bool:
    """Tell whether a column holds nothing in any row."""
    return not any(column < len(cells) and cells[column].strip() for cells in rows)


def find_rival(cells: Sequence[str], column: int, rivals: Collection[int]) -> int | None:
    """Return the rival column with an address in a record that has none in its column, if any."""
    if column < len(cells) and holds_address(cells[column]):
        return None
    return next((rival for rival in rivals if rival < len(cells) and holds_address(cells[rival])), None)
