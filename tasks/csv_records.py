"""A CSV list as raw records: RFC 4180 with commas, headings in its first line, the admin center's template included.

Quotation marks are taken strictly: a stray one costs that row and no more, one that is never closed costs the file, because
nobody can say where its rows were meant to end.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any

from tasks.bulk_template import is_example, is_version_line
from tasks.columns import Columns, describe_ignored, parse_headings
from tasks.errors import InputError
from tasks.records import RawRecord
from tasks.rows import BadRow, build_bad_row
from tasks.spreadsheet import unescape_cell
from tasks.text_lines import TextLines


class CsvRecords:
    """The records of one CSV source, in one pass; the headings are read when it is made. Raises `InputError`."""

    def __init__(self, lines: TextLines) -> None:
        self._lines = lines
        self._reader = csv.reader(lines, strict=True)
        self.columns = self._read_headings()

    @property
    def warnings(self) -> tuple[str, ...]:
        return (describe_ignored(self.columns.ignored),) if self.columns.ignored else ()

    def __iter__(self) -> Iterator[RawRecord | BadRow]:
        fields = self.columns.fields
        width = len(fields)
        # Faster than a test in the loop: the columns that are read, and where they stand.
        wanted = [(index, field) for index, field in enumerate(fields) if field is not None]
        last = wanted[-1][0]
        lines, reader, skipped = self._lines, self._reader, self._lines.skipped
        may_be_example = self.columns.from_template
        number = 0
        line = reader.line_num + skipped + 1
        while True:
            try:
                for cells in reader:
                    lines.pending_bytes = 0
                    here, line = line, reader.line_num + skipped + 1
                    size = len(cells)
                    values = _read_cells(cells, wanted if size > last else _present(wanted, size))
                    surplus = size > width and any(map(str.strip, cells[width:]))
                    if not values and not surplus and not any(map(str.strip, cells)):
                        continue  # an empty line, or one of nothing but commas as spreadsheets leave them
                    if may_be_example:
                        may_be_example = False
                        if is_example(values.get("email", "")):
                            continue
                    number += 1
                    if surplus:
                        reason = f"has {size} cells where the headings name {width}; a cell with a comma needs quotation marks"
                        yield build_bad_row(values, number, here, "", reason)
                    else:
                        yield RawRecord(number, here, values)
                break
            except csv.Error as error:
                here, line = line, reader.line_num + skipped + 1
                self._raise_if_lost(error, here)
                lines.pending_bytes = 0
                number += 1
                yield BadRow(number, here, "", "has a quotation mark in the middle of a quoted cell; write it twice")
        if number == 0:
            raise InputError(f"{self._lines.name} has headings but no rows.")

    def _read_headings(self) -> Columns:
        try:
            cells = next(self._reader, [])
            if is_version_line(cells):
                cells = next((cells for cells in self._reader if any(map(str.strip, cells))), [])
        except csv.Error as error:
            self._raise_if_lost(error, 1 + self._lines.skipped)
            raise InputError(f"{self._lines.name} has a misplaced quotation mark in its line of headings.") from None
        if not any(map(str.strip, cells)):
            raise InputError(f"{self._lines.name} is empty.")
        return parse_headings(cells, self._lines.name)

    def _raise_if_lost(self, error: csv.Error, line: int) -> None:
        """Raise `InputError` for the two of csv's errors after which the next row cannot be found."""
        name = self._lines.name
        if "unexpected end" in str(error):
            raise InputError(
                f"{name} ends inside a quoted cell; a quotation mark opened in line {line} is never closed."
            ) from None
        if "field limit" in str(error):
            limit = csv.field_size_limit()
            raise InputError(
                f"{name} has a cell of more than {limit:,} characters in the row that begins in line {line};"
                " a quotation mark is probably never closed."
            ) from None


def _read_cells(cells: list[str], wanted: list[tuple[int, str]]) -> dict[str, Any]:
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


def _present(wanted: list[tuple[int, str]], size: int) -> list[tuple[int, str]]:
    """Return the columns that a short row has; trailing cells may be left out."""
    return [(index, field) for index, field in wanted if index < size]
