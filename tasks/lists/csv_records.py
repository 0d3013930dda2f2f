"""A CSV list is read as raw records: RFC 4180 with whatever separator, below whatever titles, the
admin center's template included.

Quotation marks are taken strictly: a stray one costs that row and no more, one that is never closed
costs the file, because nobody can say where its rows were meant to end.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tasks.errors import InputError
from tasks.lists.admin_center_template import is_example
from tasks.lists.columns import describe_ignored, parse_headings
from tasks.lists.csv_dialect import describe_unclosed, open_reader, recognise
from tasks.lists.csv_style import CsvStyle
from tasks.lists.encodings import describe_encoding
from tasks.lists.options import DELIMITERS, ListOptions
from tasks.lists.records import FileLine, RawRecord, WithColumns, find_present, read_cells
from tasks.lists.text_lines import MAX_LINE_BYTES, RecordTooLong, TextLines
from tasks.rows.cleaning import clean_values
from tasks.rows.row import BadRow, build_bad_row

if TYPE_CHECKING:
    from _csv import Reader


class CsvRecords(WithColumns):
    """The records of one CSV source, in one pass; made with its headings. Raises `InputError`."""

    def __init__(self, lines: TextLines, options: ListOptions | None = None) -> None:
        options = options or ListOptions()
        self._lines = lines
        self._beginning = lines.peek()[:4096]
        self.dialect = recognise(lines.peek(), lines.name, options, lines.skipped)
        self._text = iter(lines)
        self._reader = open_reader(self._text, self.dialect.delimiter)
        self.top = self._read_top()
        self.columns = parse_headings(self.top[-1], lines.name, options, self.dialect.rows)
        self.name, self.options = lines.name, options

    @property
    def warnings(self) -> tuple[str, ...]:
        told = [describe_ignored(self.columns.ignored)] if self.columns.ignored else []
        return (*told, *self.describe_surplus(DELIMITERS.get(self.dialect.delimiter, "separators")))

    @property
    def style(self) -> CsvStyle:
        """How the file is written, so that another can be; certain when all has been read."""
        lines = self._lines
        end = "\r\n" if "\r\n" in self._beginning else "\n"
        return CsvStyle(self.dialect.delimiter, lines.encoding, lines.has_mark, end)

    @property
    def description(self) -> tuple[str, ...]:
        """How the file is read, in a few words each; the encoding is certain only in the end."""
        mark = " with a mark" if self._lines.has_mark and self._lines.encoding == "utf-8" else ""
        line = self.dialect.headings.line
        return (
            f"CSV with {DELIMITERS.get(self.dialect.delimiter, ascii(self.dialect.delimiter))}",
            f"{describe_encoding(self._lines.encoding)}{mark}",
            f"headings in line {line}",
        )

    def __iter__(self) -> Iterator[RawRecord | BadRow]:
        fields = self.columns.fields
        width = len(fields)
        wanted = self.wanted
        last = wanted[-1][0]
        lines = self._lines
        may_be_example = self.columns.from_template
        rivals = bool(self.columns.rivals)
        number = 0
        for here, end, cells in self._read(self._reader, lines.skipped):
            if cells is None:
                number += 1
                yield BadRow(number, here, "", _describe_stray(here, end))
                continue
            size = len(cells)
            values = read_cells(cells, wanted if size > last else find_present(wanted, size))
            surplus = size > width and any(map(str.strip, cells[width:]))
            if not values and not surplus and not any(map(str.strip, cells)):
                continue  # an empty line, or one of nothing but commas as spreadsheets leave them
            if may_be_example:
                may_be_example = False
                if is_example(values.get("email", "")):
                    continue
            number += 1
            if rivals:
                self.check_rivals(cells, here)
            if not lines.plain:
                clean_values(values)
            yield self._read_long(values, number, here, cells) if surplus else RawRecord(number, here, values)
        if number == 0:
            raise InputError(f"{self._lines.name} has headings but no rows.")

    def _read_long(self, values: dict[str, Any], number: int, line: int, cells: Sequence[str]) -> RawRecord | BadRow:
        """Return a record with cells beyond the headings without them, or a bad row where nobody
        can know what is in its place.
        """
        if self.is_in_place(cells):
            self.count_surplus(line)
            return RawRecord(number, line, values)
        width, sign = len(self.columns.fields), DELIMITERS.get(self.dialect.delimiter, "separators")
        reason = (
            f"has {len(cells)} cells where the headings name {width}; a cell with {sign} in it needs quotation marks"
        )
        return build_bad_row(values, number, line, "", reason)

    def lines(self) -> Iterator[FileLine]:
        """Yield everything below the headings as it stands, with the numbers that iterating gives
        to the guests.
        """
        fields = self.columns.fields
        wanted = self.wanted
        raw: list[str] = []

        def kept() -> Iterator[str]:
            for text in self._text:
                raw.append(text)
                yield text

        before = self._reader.line_num + self._lines.skipped
        may_be_example = self.columns.from_template
        number = 0
        for here, _, cells in self._read(open_reader(kept(), self.dialect.delimiter), before):
            text = "".join(raw)
            raw.clear()
            if cells is None:
                number += 1
                # Its text beyond the headings: nothing of it is lost, and the row is a bad one
                # wherever it is read again.
                loose = self._read_loosely(text)
                loose += [""] * (len(fields) - len(loose))
                yield FileLine(here, [*loose[: len(fields)], text.strip()], number, is_bad=True)
                continue
            if not any(map(str.strip, cells)):
                yield FileLine(here, cells)
                continue
            values = read_cells(cells, find_present(wanted, len(cells)))
            clean_values(values)
            if may_be_example:
                may_be_example = False
                if is_example(values.get("email", "")):
                    yield FileLine(here, cells)
                    continue
            number += 1
            surplus = any(map(str.strip, cells[len(fields) :]))
            is_long = surplus and self.is_in_place(cells)
            yield FileLine(here, cells, number, values, is_bad=surplus and not is_long, is_long=is_long)

    def _read(self, reader: Reader, before: int) -> Iterator[tuple[int, int, list[str] | None]]:
        """Yield each record's first and last line and its cells, None where a stray quotation mark
        leaves none.

        `before`: the source's lines above those that the reader counts. Raises `InputError` where
        the next record cannot be found.
        """
        line = before + reader.line_num + 1
        while True:
            try:
                for cells in reader:
                    self._lines.pending_bytes = 0
                    here, line = line, before + reader.line_num + 1
                    yield here, line - 1, cells
                return
            except csv.Error as error:
                here, line = line, before + reader.line_num + 1
                self._raise_if_lost(error, here)
                self._lines.pending_bytes = 0
                yield here, line - 1, None
            except RecordTooLong:
                raise self._too_long(line, f"{MAX_LINE_BYTES:,} bytes") from None

    def _read_loosely(self, text: str) -> list[str]:
        """Return the cells of a record with a stray quotation mark as well as can be told."""
        with suppress(csv.Error):
            return next(open_reader(io.StringIO(text, newline=""), self.dialect.delimiter, strict=False), [])
        return [text.strip()]

    def _read_top(self) -> list[list[str]]:
        """Read down to the headings; return them with what stands above, looked at already."""
        top = []
        for _ in range(self.dialect.headings.index):
            with suppress(csv.Error):  # a title may hold a stray quotation mark
                top.append(next(self._reader, []))
        return [*top, next(self._reader, [])]

    def _raise_if_lost(self, error: csv.Error, line: int) -> None:
        """Raise `InputError` for those two of csv's errors after which no next row can be found."""
        if "unexpected end" in str(error):
            raise InputError(f"{self._lines.name} {describe_unclosed(line)}") from None
        if "field limit" in str(error):
            raise self._too_long(line, f"{csv.field_size_limit():,} characters") from None

    def _too_long(self, line: int, size: str) -> InputError:
        return InputError(
            f"{self._lines.name} has more than {size} in the row that begins in line {line}; a quotation mark opened"
            " there is probably never closed: close it, or take it away."
        )


def _describe_stray(first: int, last: int) -> str:
    if last <= first:
        return (
            "has more behind a quotation mark that closes its cell; one that belongs to the text is written twice, and"
            " the one that closes is the cell's last sign"
        )
    return (
        f"has a quotation mark that is not closed in its line, so that lines {first} to {last} are one row; close it,"
        " or take it away"
    )
