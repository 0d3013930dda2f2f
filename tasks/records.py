"""What the readers hand on: one raw record of a list, not yet checked, and what all readers have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from tasks.columns import Columns
from tasks.rows import BadRow
from tasks.spreadsheet import unescape_cell


class RawRecord(NamedTuple):
    """One record as it stood in the file: `values` by field name, only those that were given.

    `number` counts records from 1, `line` is the physical line the record begins on. A named tuple for speed, as in `rows`.
    """

    number: int
    line: int
    values: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"RawRecord(number={self.number}, line={self.line}, fields={sorted(self.values)})"


class FileLine(NamedTuple):
    """One record of a file as it stands there, whether it is a guest's or not.

    `number` is the guest's as in `RawRecord`, None where it is no guest's: an empty line, or one that was left out for being hidden
    (`is_hidden`). `is_bad`: no record for `RawRecord`. `found` is what a line of JSONL holds.
    """

    line: int
    cells: Sequence[str]
    number: int | None = None
    values: Mapping[str, Any] = MappingProxyType({})
    is_bad: bool = False
    is_hidden: bool = False
    found: Mapping[str, Any] | None = None

    def __repr__(self) -> str:
        return f"FileLine(line={self.line}, number={self.number})"


class RecordReader(Protocol):
    """A format. Iterating yields each record once; a record that is no record is a `BadRow`; raises `InputError`."""

    def __iter__(self) -> Iterator[RawRecord | BadRow]: ...

    def lines(self) -> Iterator[FileLine]:
        """Yield, instead of the records, everything below the headings as it stands; the guests' numbers are the same."""
        ...

    @property
    def top(self) -> Sequence[Sequence[str]]:
        """What stands in the file down to its headings; they are the last. Empty for JSONL."""
        ...

    @property
    def joined(self) -> int | None:
        """Where the outcomes of an earlier run begin, if the file has them."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences about the file as read so far; complete when the iteration is."""
        ...

    @property
    def description(self) -> tuple[str, ...]:
        """How the file is read, in a few words each; certain when everything has been read."""
        ...

    @property
    def read(self) -> tuple[tuple[str, str], ...]:
        """The fields that are read, each with the heading or key it is taken from."""
        ...

    @property
    def is_result(self) -> bool:
        """Whether these are results of usher's own, fed back."""
        ...


class WithColumns:
    """What the readers of formats with a line of headings have in common."""

    columns: Columns

    @property
    def wanted(self) -> list[tuple[int, str]]:
        """The columns that are read: where each stands, and its field. One at least: the address."""
        return [(index, field) for index, field in enumerate(self.columns.fields) if field is not None]

    @property
    def read(self) -> tuple[tuple[str, str], ...]:
        """The fields that are read, each with the heading it is taken from."""
        return self.columns.read

    @property
    def joined(self) -> int | None:
        """Where the outcomes of an earlier run begin, if the file has them."""
        return self.columns.joined

    @property
    def is_result(self) -> bool:
        """Whether these are results of usher's own, fed back."""
        return self.joined is not None


def read_cells(cells: Sequence[str], wanted: Sequence[tuple[int, str]]) -> dict[str, Any]:
    """Return what the cells of a record hold, by field: trimmed, escapes undone, empty ones left out.

    `wanted` must not reach beyond the cells (`find_present`): a test here would cost every cell of a million rows.
    """
    values = {}
    for index, field in wanted:
        cell = cells[index]
        if text := cell.strip():
            if text[0] == "'":
                text = unescape_cell(cell).strip()  # before it is trimmed: `'` and a line feed stand for a line feed
                if not text:
                    continue
            values[field] = text
    return values


def find_present(wanted: Sequence[tuple[int, str]], size: int) -> list[tuple[int, str]]:
    """Return the columns that a short record of `size` cells has; trailing cells may be left out."""
    return [(index, field) for index, field in wanted if index < size]
