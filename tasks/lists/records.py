"""The readers hand on raw records of a list, not yet checked; here is what all have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from tasks.lists.address_columns import find_rival
from tasks.lists.columns import Columns, ask_again
from tasks.lists.options import ListOptions
from tasks.rows.cleaning import holds_address
from tasks.rows.escaping import unescape_cell
from tasks.rows.row import BadRow


class RawRecord(NamedTuple):
    """One record as it stood in the file: `values` by field name, only those that were given.

    `number` counts records from 1, `line` is the physical line the record begins on. A named tuple
    for speed, as `tasks.rows.row` has.
    """

    number: int
    line: int
    values: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"RawRecord(number={self.number}, line={self.line}, fields={sorted(self.values)})"


class FileLine(NamedTuple):
    """One record of a file as it stands there, whether it is a guest's or not.

    `number` is the guest's as in `RawRecord`, None where it is no guest's: an empty line, or one
    that was left out for being hidden (`is_hidden`). `is_bad`: no record for `RawRecord`.
    `is_long`: one without its cells beyond the headings. `found` is what a line of JSONL holds.
    """

    line: int
    cells: Sequence[str]
    number: int | None = None
    values: Mapping[str, Any] = MappingProxyType({})
    is_bad: bool = False
    is_long: bool = False
    is_hidden: bool = False
    found: Mapping[str, Any] | None = None

    def __repr__(self) -> str:
        return f"FileLine(line={self.line}, number={self.number})"


class RecordReader(ABC):
    """A format. Iterating yields each record once, a bad one as `BadRow`; raises `InputError`."""

    top: Sequence[Sequence[str]] = ()
    """What stands in the file down to its headings; they are the last. Empty for JSONL."""
    joined: int | None = None
    """Where the outcomes of an earlier run begin, if the file has them."""
    is_only_one = False
    """Whether the address is read from the only column with addresses."""
    surplus = 0
    """Records read without their cells beyond the headings; `first_surplus`: the first's line."""
    first_surplus = 0

    @abstractmethod
    def __iter__(self) -> Iterator[RawRecord | BadRow]: ...

    @abstractmethod
    def lines(self) -> Iterator[FileLine]:
        """Yield everything below the headings as it stands; the guests' numbers are the same."""

    @property
    @abstractmethod
    def warnings(self) -> tuple[str, ...]:
        """Sentences about the file as read so far; complete when the iteration is."""

    @property
    @abstractmethod
    def description(self) -> tuple[str, ...]:
        """How the file is read, in a few words each; certain when everything has been read."""

    @property
    @abstractmethod
    def read(self) -> tuple[tuple[str, str], ...]:
        """The fields that are read, each with the heading or key it is taken from."""

    @property
    def is_result(self) -> bool:
        """Whether these are results of usher's own, fed back."""
        return self.joined is not None

    @property
    def is_whole(self) -> bool:
        """Whether no record had cells beyond the headings that were left out; certain when
        everything has been read.
        """
        return not self.surplus


class WithColumns(RecordReader):
    """What the readers of formats with a line of headings have in common."""

    name: str
    options: ListOptions

    @property
    def columns(self) -> Columns:
        """The columns, which are set when the headings have been read."""
        return self._columns

    @columns.setter
    def columns(self, columns: Columns) -> None:
        self._columns = columns
        self.joined, self.is_only_one = columns.joined, columns.is_only_one

    @property
    def wanted(self) -> list[tuple[int, str]]:
        """The columns that are read, each with its place and field; one at least: the address."""
        return [(index, field) for index, field in enumerate(self.columns.fields) if field is not None]

    @property
    def read(self) -> tuple[tuple[str, str], ...]:
        return self.columns.read

    def check_rivals(self, cells: Sequence[str], line: int) -> None:
        """Raise `Ambiguity` where a row's address stands in another column than the one that was
        chosen for its cells.
        """
        rival = find_rival(cells, self.columns.fields.index("email"), self.columns.rivals)
        if rival is not None:
            raise ask_again(self.columns, rival, self.top[-1], self.name.rstrip(","), self.options, line)

    def is_in_place(self, cells: Sequence[str]) -> bool:
        """Tell whether a record with cells beyond the headings can be read all the same: its
        address is in its column, and nowhere else.
        """
        if sum("@" in cell for cell in cells) != 1:
            return False
        return any(
            holds_address(cell) for cell, field in zip(cells, self.columns.fields, strict=False) if field == "email"
        )

    def count_surplus(self, line: int) -> None:
        """Count a record whose cells beyond the headings are left out."""
        self.first_surplus = self.first_surplus or line
        self.surplus += 1

    def describe_surplus(self, sign: str) -> list[str]:
        """Return the one warning about records with cells beyond the headings, if there were any;
        `sign` is what separates cells.
        """
        if not self.surplus:
            return []
        one = self.surplus == 1
        told = f"{self.surplus:,} {'row has' if one else 'rows have'} more cells than the headings name, "
        told += (
            f"{'in' if one else 'the first in'} line {self.first_surplus}: what stands beyond the headings is left out."
        )
        return [f"{told} Where a name or a text holds {sign}, it needs quotation marks." if sign else told]


def read_cells(cells: Sequence[str], wanted: Sequence[tuple[int, str]]) -> dict[str, Any]:
    """Return what the cells of a record hold, by field: trimmed, escapes undone, empty ones left
    out.

    `wanted` must not reach beyond the cells (`find_present`): a test here would cost every cell of
    a million rows.
    """
    values = {}
    for index, field in wanted:
        cell = cells[index]
        if text := cell.strip():
            if "'" in text:
                text = unescape_cell(cell).strip()  # before it is trimmed: `'` and a line feed stand for a line feed
                if not text:
                    continue
            values[field] = text
    return values


def find_present(wanted: Sequence[tuple[int, str]], size: int) -> list[tuple[int, str]]:
    """Return the columns that a short record of `size` cells has: trailing ones may be left out."""
    return [(index, field) for index, field in wanted if index < size]
