"""Cells of a list may be left out without costing a row; counted, for one warning a column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tasks.lists.columns import quote_headings
from tasks.rows.row import BadRow
from tasks.telling.words import many

_MOST_REASONS = 8  # told of one column; some name what the cell holds
_LINES_TOLD = 3  # of each reason


@dataclass(slots=True)
class _Reason:
    lines: list[int | None] = field(default_factory=list)
    cells: int = 0

    def add(self, line: int | None) -> None:
        self.cells += 1
        if len(self.lines) < _LINES_TOLD:
            self.lines.append(line)

    def told(self) -> str:
        """Return the first lines, and how many there are more."""
        lines = [str(line) for line in self.lines]
        if self.cells > len(lines):
            lines.append(f"{self.cells - len(lines):,} more")
        *before, last = lines
        return f"line {last}" if not before else f"lines {', '.join(before)} and {last}"


@dataclass(slots=True)
class _Column:
    cells: int = 0
    reasons: dict[str, _Reason] = field(default_factory=dict)
    others: _Reason = field(default_factory=_Reason)

    def add(self, fault: BadRow) -> None:
        self.cells += 1
        if fault.reason in self.reasons or len(self.reasons) < _MOST_REASONS:
            self.reasons.setdefault(fault.reason, _Reason()).add(fault.line)
        else:
            self.others.add(fault.line)


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
        self._columns.setdefault(fault.column, _Column()).add(fault)

    def warnings(self, read: Sequence[tuple[str, str]]) -> tuple[str, ...]:
        """Return a sentence a column; `read`: fields, and the headings they were read from."""
        headings = dict(read)
        return tuple(_describe(name, headings.get(name, name), column) for name, column in self._columns.items())


def _describe(name: str, heading: str, column: _Column) -> str:
    what = f"{quote_headings([heading])}: {many(column.cells, 'cell')} cannot be used as {name} and"
    if column.cells == 1:
        [(why, reason)] = column.reasons.items()
        return f"{what} is left out, in {reason.told()}: {why}. Its guest is invited without."
    whys = [f"{why} ({reason.told()})" for why, reason in column.reasons.items()]
    whys += [f"other reasons ({column.others.told()})"] if column.others.cells else []
    return f"{what} are left out: {'; '.join(whys)}. Their guests are invited without."
