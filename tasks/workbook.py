"""An Excel workbook, opened to be read: its sheets as rows of text, and what of them is hidden or merged.

The cells come from openpyxl, a row at a time. What openpyxl keeps to itself when it reads that way (hidden rows, merged cells) is
found by a quick pass of our own over the sheet's XML. Whatever a damaged or hostile file makes of it is one sentence.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, Final
from xml.parsers import expat

from tasks.errors import InputError, ListError

if TYPE_CHECKING:
    from openpyxl.workbook.workbook import Workbook as OpenWorkbook

MARK: Final = b"PK\x03\x04"
"""How every zip file begins, and so every workbook."""
MOST_UNPACKED: Final = 2 << 30
"""Bytes that a workbook may hold unpacked: a million rows are a tenth of it, and a small file may claim any number."""
MOST_ROWS: Final = 1_048_576  # https://support.microsoft.com/office/excel-specifications-and-limits
_SHARED: Final = 300 << 20  # of these the texts that cells share, which are held in memory
_ROWS_A_TIME: Final = 500
_BLOCK_BYTES: Final = 1 << 16
_ESCAPED: Final = re.compile(r"_x([0-9A-Fa-f]{4})_")  # control characters, as Excel writes them
_RANGE: Final = re.compile(r"([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})")
_NO_READER: Final = (
    "is an Excel workbook, and usher was installed without what reads those: whoever installed it adds the extra xlsx (pip install "
    "'entra-usher[xlsx]'), or save the list as “CSV UTF-8”"
)
_NOT_EXCEL: Final = (
    ("xl/workbook.bin", "is a binary Excel workbook (.xlsb); save it as .xlsx"),
    ("word/document.xml", "is a Word document; the list must be an Excel, CSV or JSONL file"),
    ("content.xml", "is an OpenDocument file; save it as .xlsx or as CSV"),
)


@dataclass(frozen=True, slots=True)
class Merged:
    """A merged cell: columns and rows from 1, both ends included."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(slots=True)
class Structure:
    """What a sheet's cells do not say: hidden rows that hold something, whether a filter is on, merged cells, lost formulas."""

    hidden: set[int] = field(default_factory=set)
    filtered: bool = False
    merged: list[Merged] = field(default_factory=list)
    uncalculated: int = 0
    """Formulas without a result: a program wrote them, and Excel never saw the file."""


class Workbook:
    """An open workbook. Raises `InputError` for a file that is none, is damaged, or would fill the memory."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self.name = name
        self._file = file
        with self.guarded(self.name):
            self._check_parts()
            try:
                from openpyxl import load_workbook
            except ImportError:
                raise InputError(f"{name} {_NO_READER}.") from None
            self._book: OpenWorkbook = load_workbook(file, read_only=True, data_only=True, keep_links=False)
            self.sheets = tuple(sheet.title for sheet in self._book.worksheets if sheet.sheet_state == "visible")
            self.all_sheets = tuple(sheet.title for sheet in self._book.worksheets)
        if not self.all_sheets:
            raise InputError(f"{name} holds no sheet with cells.")

    def rows(self, sheet: str) -> Iterator[tuple[int, Sequence[str]]]:
        """Yield a sheet's rows as text with their numbers, empty ones included."""
        with self.guarded(self.name):
            found: Any = self._book[sheet]
            found.reset_dimensions()  # what a file says about its size is often wrong
            rows = enumerate(found.iter_rows(values_only=True), 1)
        while True:
            with self.guarded(self.name):
                block = [(number, [_text_of(cell) for cell in cells]) for number, cells in islice(rows, _ROWS_A_TIME)]
            if not block:
                return
            yield from block

    def structure(self, sheet: str) -> Structure:
        """Return what a sheet's cells do not say."""
        with self.guarded(self.name):
            # openpyxl knows where the sheet is in the file and has no public word for it.
            found: Any = self._book[sheet]
            path: str = found._worksheet_path
            with zipfile.ZipFile(self._file) as archive, archive.open(path) as stream:
                return _scan(stream)

    def close(self) -> None:
        """Close it; the file stays its owner's."""
        self._book.close()

    def _check_parts(self) -> None:
        with zipfile.ZipFile(self._file) as archive:
            parts = {info.filename: info.file_size for info in archive.infolist()}
        self._file.seek(0)
        for part, what in _NOT_EXCEL:
            if part in parts:
                raise InputError(f"{self.name} {what}.")
        if "[Content_Types].xml" not in parts or not any(part.startswith("xl/") for part in parts):
            raise InputError(f"{self.name} is a zip file, not an Excel workbook; unpack it first.")
        shared = sum(size for part, size in parts.items() if part.lower().endswith("sharedstrings.xml"))
        if sum(parts.values()) > MOST_UNPACKED or shared > _SHARED:
            raise InputError(
                f"{self.name} is too large for an Excel workbook to be read; save the list as “CSV UTF-8”."
            )

    @staticmethod
    @contextmanager
    def guarded(name: str) -> Iterator[None]:
        """Turn whatever openpyxl, zipfile and expat raise into one sentence, and keep their warnings to ourselves."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        except (ListError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - a damaged file ends in any of some twenty, from zlib.error to KeyError
            raise InputError(
                f"{name} is damaged, or no Excel workbook that can be read ({type(error).__name__}); open it in Excel and save it "
                "anew, or save the list as “CSV UTF-8”."
            ) from None


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


def _text_of(value: object) -> str:
    """Return a cell's value as the text that a CSV would have in its place."""
    match value:
        case None:
            return ""
        case str():
            return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), value) if "_x" in value else value
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


def _scan(stream: IO[bytes]) -> Structure:
    """Read through a sheet's XML once. Raises `ValueError` for what no sheet holds, and expat's errors."""
    scan = _Scan()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.EndElementHandler = scan.start, scan.end
    parser.CharacterDataHandler, parser.EntityDeclHandler = scan.text, scan.refuse
    parser.buffer_text = True
    while block := stream.read(_BLOCK_BYTES):
        parser.Parse(block, False)
    parser.Parse(b"", True)
    return scan.found


class _Scan:
    """What expat calls while a sheet goes by."""

    def __init__(self) -> None:
        self.found = Structure()
        self._row = 0
        self._inside = ""
        self._row_hidden = self._formula = self._value = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._inside = name = name.rpartition(" ")[2]
        match name:
            case "row":
                self._row = int(attributes.get("r") or self._row + 1)
                if self._row > MOST_ROWS:
                    raise ValueError("more rows than a sheet has")
                self._row_hidden = attributes.get("hidden") in ("1", "true")
            case "c":
                self._formula = self._value = False
            case "f":
                self._formula = True
            case "filterColumn":
                self.found.filtered = True
            case "mergeCell":
                if at := _RANGE.fullmatch(attributes.get("ref", "")):
                    self.found.merged.append(
                        Merged(_column_number(at[1]), int(at[2]), _column_number(at[3]), int(at[4]))
                    )

    def text(self, _: str) -> None:
        if self._inside in ("v", "t"):
            self._value = True
            if self._row_hidden:
                self.found.hidden.add(self._row)

    def end(self, name: str) -> None:
        if self._formula and not self._value and name.rpartition(" ")[2] == "c":
            self.found.uncalculated += 1

    def refuse(self, *_: object) -> None:
        raise ValueError("an entity")  # no spreadsheet declares any; a bomb does
