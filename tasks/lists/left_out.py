"""Cells of a list may be left out without costing a row; counted, for one warning a column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tasks.lists.columns import quote_headings
from tasks.rows.row import BadRow


@dataclass(slots=True)
class _Column:
    first: BadRow
    cells: int = 0


@dataclass(slots=True)
class LeftOut:
    """The cells that rows went without, by field."""

    _columns: dict[str, _Column] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self._columns)

    @property
    def fields(self) -> frozenset[str]:
        """The fields of which cells were left out."""
        return frozenset(self._columns)

    def add(self, fault: BadRow) -> None:
        """Count one cell by the fault it would have been."""
        self._columns.setdefault(fault.column, _Column(fault)).cells += 1

    def warnings(self, read: Sequence[tuple[str, str]]) -> tuple[str, ...]:
        """Return a sentence a column; `read`: fields, and the headings they were read from."""
        headings = dict(read)
        return tuple(_describe(name, headings.get(name, name), column) for name, column in self._columns.items())


def _describe(name: str, heading: str, column: _Column) -> str:
    one = column.cells == 1
    what = "1 cell cannot be used" if one else f"{column.cells:,} cells cannot be used"
    where = (
        f"is left out, in line {column.first.line}" if one else f"are left out, the first in line {column.first.line}"
    )
    guests = "Its guest is" if one else "Their guests are"
    return (
        f"{quote_headings([heading])}: {what} as {name} and {where}: {column.first.reason}. {guests} invited without."
    )
