"""A sheet's XML becomes rows of text, and what the cells do not say: hidden rows, merged cells,
formulas without a result.

Both passes keep to Excel's own bounds, which no list of guests comes near.
https://support.microsoft.com/office/excel-specifications-and-limits
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import IO, Final

from tasks.errors import InputError
from tasks.lists.columns import MOST_COLUMNS
from tasks.lists.excel.shared_texts import MOST_CHARACTERS, SharedTexts, describe_long_cell
from tasks.lists.excel.xml_parts import Handler, read_xml, read_xml_in_blocks

MOST_ROWS: Final = 1_048_576
_MOST_MERGED: Final = 100_000  # merged cells; beyond, they are no headings of a list

_ESCAPED: Final = re.compile(r"_x([0-9A-Fa-f]{4})_")  # control characters, as Excel writes them
_RANGE: Final = re.compile(r"([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})")


@dataclass(frozen=True, slots=True)
class MergedCell:
    """A merged cell: columns and rows from 1, both ends included."""

    left: int
    top: int
    right: int
    bottom: int


class RowSet(Collection[int]):
    """Numbers of rows, a byte each: a set of a million takes a hundred times as much."""

    def __init__(self) -> None:
        self._marks = bytearray()

    def add(self, row: int) -> None:
        """Add a row."""
        if row >= len(self._marks):
            self._marks.extend(bytes(row + 1 - len(self._marks)))
        self._marks[row] = 1

    def __contains__(self, row: object) -> bool:
        return isinstance(row, int) and 0 <= row < len(self._marks) and self._marks[row] == 1

    def __iter__(self) -> Iterator[int]:
        return (row for row, mark in enumerate(self._marks) if mark)

    def __len__(self) -> int:
        return self._marks.count(1)

    def count_below(self, row: int) -> int:
        """Return how many stand below a row."""
        return self._marks.count(1, row + 1)


@dataclass(slots=True)
class Structure:
    """What a sheet's cells do not say: hidden rows that hold something, whether a filter is on,
    merged cells, lost formulas.
    """

    hidden: RowSet = field(default_factory=RowSet)
    filtered: bool = False
    merged: list[MergedCell] = field(default_factory=list)
    uncalculated: int = 0
    """Formulas without a result: a program wrote them, and Excel never saw the file."""
    cells: int = 0


@dataclass(frozen=True, slots=True)
class Meanings:
    """What a sheet's cells refer to: the texts that they share, and how a number of a style that
    shows dates is written.
    """

    shared: SharedTexts
    date_styles: Collection[int]
    date_text: Callable[[float, int], str]
    """(number, style) → text"""


def scan(stream: IO[bytes], name: str) -> Structure:
    """Read through a sheet once. Raises `InputError` beyond Excel's bounds, `ValueError` for what
    no sheet holds, expat's errors.
    """
    found = _Scan(name)
    read_xml(stream, found)
    return found.found


def read_rows(stream: IO[bytes], name: str, meanings: Meanings) -> Iterator[list[tuple[int, Sequence[str]]]]:
    """Yield a sheet's rows with their numbers, none for those left out. Raises as `scan` does."""
    rows = _Rows(name, meanings)
    for _ in read_xml_in_blocks(stream, rows):
        ready, rows.ready = rows.ready, []
        yield ready


def text_of(value: object) -> str:
    """Return a cell's value as the text that a CSV would have in its place."""
    match value:
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        case datetime() if value.time() == time():
            return value.date().isoformat()
        case datetime() | date() | time():
            return value.isoformat()
        case _:
            return str(value)


def column_letters(column: int) -> str:
    """Return what Excel calls a column: 1 → A, 28 → AB."""
    letters = ""
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def _column_number(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number


class _Bounded(Handler):
    """Rows and cells as a sheet goes by, counted."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._row = self._column = self._cells = 0
        self._columns: dict[str, int] = {}

    def _begin_row(self, attributes: dict[str, str]) -> None:
        self._row = int(attributes.get("r") or self._row + 1)
        if not 0 < self._row <= MOST_ROWS:
            raise ValueError("more rows than a sheet has")
        self._column = self._cells = 0

    def _begin_cell(self, attributes: dict[str, str]) -> None:
        self._cells += 1
        reference = attributes.get("r")
        self._column = self._column_of(reference) if reference else self._column + 1
        if self._cells > MOST_COLUMNS or self._column > MOST_COLUMNS:
            raise InputError(
                f"{self._name} has more than {MOST_COLUMNS:,} columns in row {self._row}, which Excel itself does not"
                " hold; this is not a list of guests."
            )

    def _column_of(self, reference: str) -> int:
        letters = reference.rstrip("0123456789")
        number = self._columns.get(letters)
        if number is None:
            if not letters.isascii() or not letters.isalpha() or len(letters) > 3:
                raise ValueError("no reference to a cell")
            number = self._columns[letters] = _column_number(letters.upper())
        return number


class _Scan(_Bounded):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.found = Structure()
        self._inside = ""
        self._row_hidden = self._formula = self._value = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._inside = name
        match name:
            case "row":
                self._begin_row(attributes)
                self._row_hidden = attributes.get("hidden") in ("1", "true")
            case "c":
                self._begin_cell(attributes)
                self.found.cells += 1
                self._formula = self._value = False
            case "f":
                self._formula = True
            case "filterColumn":
                self.found.filtered = True
            case "mergeCell":
                if at := _RANGE.fullmatch(attributes.get("ref", "")):
                    if len(self.found.merged) == _MOST_MERGED:
                        raise ValueError("more merged cells than anybody merges")
                    self.found.merged.append(
                        MergedCell(_column_number(at[1]), int(at[2]), _column_number(at[3]), int(at[4]))
                    )

    def text(self, _: str) -> None:
        if self._inside in ("v", "t"):
            self._value = True
            if self._row_hidden:
                self.found.hidden.add(self._row)

    def end(self, name: str) -> None:
        if name == "c" and self._formula and not self._value:
            self.found.uncalculated += 1


class _Rows(_Bounded):
    def __init__(self, name: str, meanings: Meanings) -> None:
        super().__init__(name)
        self.ready: list[tuple[int, Sequence[str]]] = []
        self._meanings = meanings
        self._texts: list[str] = []
        self._kind, self._style = "n", 0
        self._pieces: list[str] = []
        self._size = 0
        self._inside = self._aloud = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "c":
            self._begin_cell(attributes)
            self._kind = attributes.get("t", "n")
            self._style = int(attributes.get("s") or 0)
            self._pieces, self._size = [], 0
        elif name == "v":
            self._inside = self._kind != "inlineStr"
        elif name == "t":
            self._inside = self._kind == "inlineStr" and not self._aloud
        elif name == "rPh":
            self._aloud = True
        elif name == "row":
            before = self._row
            self._begin_row(attributes)
            self._texts = []
            if self._row <= before:
                raise ValueError("rows in no order")

    def text(self, piece: str) -> None:
        if self._inside:
            self._size += len(piece)
            if self._size > MOST_CHARACTERS:
                raise InputError(describe_long_cell(self._name))
            self._pieces.append(piece)

    def end(self, name: str) -> None:
        if name == "c":
            if self._pieces:
                self._keep(self._read("".join(self._pieces)))
        elif name in ("v", "t"):
            self._inside = False
        elif name == "rPh":
            self._aloud = False
        elif name == "row":
            self.ready.append((self._row, self._texts))

    def _keep(self, text: str) -> None:
        texts, column = self._texts, self._column
        if column == len(texts) + 1:
            texts.append(text)
        else:
            texts.extend([""] * (column - len(texts)))
            texts[column - 1] = text

    def _read(self, value: str) -> str:
        kind = self._kind
        if kind in ("s", "str", "inlineStr"):
            text = self._meanings.shared[int(value)] if kind == "s" else value
            return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text
        if not value.strip():
            return ""
        if kind == "n":
            number = float(value) if any(sign in value for sign in ".Ee") else int(value)
            if self._style in self._meanings.date_styles:
                return self._meanings.date_text(number, self._style)
            return text_of(number)
        if kind == "b":
            return text_of(bool(int(value)))
        return value.removesuffix("T00:00:00") if kind == "d" else value
