"""A sheet of an Excel workbook is read as raw records: the first sheet that is visible, or the one
that was named.

Rows that are hidden, by hand or by a filter, are neither left out nor taken along without a word
from somebody.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Final

from tasks.errors import InputError
from tasks.lists.address_columns import SAMPLE_CELLS, SAMPLE_ROWS
from tasks.lists.admin_center_template import is_example
from tasks.lists.ambiguities import Ambiguity, Choice
from tasks.lists.columns import describe_ignored, parse_headings, quote_headings
from tasks.lists.excel.sheet_xml import RowSet, Structure, column_letters
from tasks.lists.excel.workbook import Workbook
from tasks.lists.heading_line import (
    LINES_LOOKED_AT,
    Line,
    check_above,
    explain_missing,
    find_headings,
    find_headings_by_cells,
    refuse_other_templates,
    rows_below,
)
from tasks.lists.options import ListOptions
from tasks.lists.records import FileLine, RawRecord, WithColumns, find_present, read_cells
from tasks.rows.cleaning import clean_values
from tasks.rows.row import BadRow, build_bad_row

_ROWS_ABOVE: Final = 2_000  # rows, empty ones included, in which the headings are looked for


_MOST_SHEETS: Final = 20  # looked at for headings, where the first has none


class SheetRecords(WithColumns):
    """The records of one sheet, in one pass. Raises `InputError`, and `Ambiguity`."""

    def __init__(self, book: Workbook, options: ListOptions | None = None) -> None:
        self._book = book
        self.options = options or ListOptions()
        self.sheet = self._choose_sheet()
        self.name = f"{book.name}, sheet {quote_headings([self.sheet])},"
        self._structure = book.structure(self.sheet)
        self._rows = book.rows(self.sheet)
        self.top: list[Sequence[str]] = []
        self.headings, above, rows = self._find_headings()
        cells = _fill_merged(self.headings, above, self._structure)
        self._ask_about_merged(cells)
        self.top[-1] = cells
        self.columns = parse_headings(cells, self.name.rstrip(","), self.options, rows)
        self.hidden = self._structure.hidden.count_below(self.headings.line)
        self._ask_about_hidden()

    @property
    def warnings(self) -> tuple[str, ...]:
        told = [describe_ignored(self.columns.ignored)] if self.columns.ignored else []
        if lost := self._structure.uncalculated:
            told.append(
                f"{lost:,} {'cell holds a formula' if lost == 1 else 'cells hold formulas'} without a result and"
                f" {'counts' if lost == 1 else 'count'} as empty; open the workbook in Excel and save it, then they"
                " have one."
            )
        return (*told, *self.describe_surplus(""))

    @property
    def description(self) -> tuple[str, ...]:
        said = [f"Excel sheet {quote_headings([self.sheet])}", f"headings in row {self.headings.line}"]
        if len(self._book.all_sheets) > 1:
            said[0] += f" of {len(self._book.all_sheets)}"
        if self.hidden:
            verb = "read too" if self.options.hidden == "include" else "left out"
            said.append(f"{self.hidden:,} hidden {'row' if self.hidden == 1 else 'rows'} {verb}")
        return tuple(said)

    def __iter__(self) -> Iterator[RawRecord | BadRow]:
        number = 0
        for line in self.lines():
            if line.number is None:
                continue
            number = line.number
            if line.is_bad:
                width = len(self.columns.fields)
                yield build_bad_row(
                    line.values, number, line.line, "", f"has cells where the {width} headings have ended"
                )
            else:
                yield RawRecord(number, line.line, line.values)
        if number == 0:
            raise InputError(f"{self.name} has headings but no rows.")

    def lines(self) -> Iterator[FileLine]:
        """Yield everything below the headings as it stands, with the numbers that iterating gives
        to the guests.
        """
        wanted = self.wanted
        leave_out = self._structure.hidden if self.options.hidden == "skip" else RowSet()
        may_be_example = self.columns.from_template
        number = 0
        for line, cells in self._rows:
            if line <= self.headings.line:
                continue
            if line in leave_out or not any(map(str.strip, cells)):
                yield FileLine(line, cells, is_hidden=line in leave_out)
                continue
            values = read_cells(cells, find_present(wanted, len(cells)))
            clean_values(values)
            if may_be_example:
                may_be_example = False
                if is_example(values.get("email", "")):
                    yield FileLine(line, cells)
                    continue
            number += 1
            if self.columns.rivals:
                self.check_rivals(cells, line)
            # In a sheet somebody's remark may stand beside the list; beyond our own outcomes
            # nothing but what was too much before.
            beyond = self.joined is not None and any(map(str.strip, cells[len(self.columns.fields) :]))
            if is_long := beyond and self.is_in_place(cells):
                self.count_surplus(line)
            yield FileLine(line, cells, number, values, is_bad=beyond and not is_long, is_long=is_long)

    def _choose_sheet(self) -> str:
        wanted, sheets = self.options.sheet, self._book.all_sheets
        if not wanted:
            return (self._book.sheets or sheets)[0]
        found = [sheet for sheet in sheets if sheet == wanted] or [
            sheet for sheet in sheets if sheet.strip().casefold() == wanted.strip().casefold()
        ]
        if not found:
            raise InputError(
                f"{self._book.name} has no sheet {quote_headings([wanted])}; it has {quote_headings(sheets)}."
            )
        return found[0]

    def _find_headings(self) -> tuple[Line, list[Line], list[Sequence[str]]]:
        """Return the line of headings, all lines down to it, and the first rows below it."""
        name = self.name.rstrip(",")
        top: list[Line] = []
        read: list[tuple[int, Sequence[str]]] = []
        found, size = None, 0
        for index, (line, cells) in enumerate(islice(self._rows, _ROWS_ABOVE)):
            read.append((line, cells))
            if any(map(str.strip, cells)):
                top.append(Line(line, index, cells))
                refuse_other_templates(top[-1:], name, self.options)
            found = find_headings(top, self.options)
            size += len(cells)
            enough = len(top) >= LINES_LOOKED_AT and not self.options.header_line
            if found is not None or enough or size > SAMPLE_CELLS:
                break
        above = list(top)
        for index, (line, cells) in enumerate(islice(self._rows, SAMPLE_ROWS), len(read)):
            read.append((line, cells))
            if any(map(str.strip, cells)):
                top.append(Line(line, index, cells))
            size += len(cells)
            if size > SAMPLE_CELLS:
                break
        self._rows = chain(read, self._rows)
        if found is None:
            found = self._find_by_cells(top)
            above = [line for line in top if line.index <= found.index]
        self.top = [cells for number, cells in read if number <= found.line]
        check_above(above, found, name, self.options)
        left_out = self._structure.hidden if self.options.hidden == "skip" else RowSet()
        return found, above, rows_below([line for line in top if line.line not in left_out], found)

    def _find_by_cells(self, top: Sequence[Line]) -> Line:
        """Return the line of headings above a column of addresses. Raises `InputError`, and
        `Ambiguity` where another sheet has better.
        """
        if not top:
            raise self._other_sheet(InputError(f"{self.name} is empty."))
        problem = self._other_sheet(explain_missing(top, self.name.rstrip(","), self.options))
        found = find_headings_by_cells(top, self.options)
        if found is None or (
            isinstance(problem, Ambiguity) and any(choice.options.sheet for choice in problem.choices)
        ):
            raise problem
        return found

    def _other_sheet(self, problem: InputError) -> InputError:
        """Return the question about the sheet where only another one has an e-mail heading, else
        the problem as it is.
        """
        if self.options.sheet:
            return problem
        looked_at = [sheet for sheet in self._book.sheets if sheet != self.sheet][:_MOST_SHEETS]
        others = [sheet for sheet in looked_at if self._has_headings(sheet)]
        if not others:
            return problem
        ways = " or ".join(f"--sheet '{sheet}'" for sheet in others[:LINES_LOOKED_AT])
        return Ambiguity(
            f"The first sheet of {self._book.name}, {quote_headings([self.sheet])}, has no e-mail heading; say {ways}.",
            f"The first sheet of {self._book.name}, {quote_headings([self.sheet])}, has no e-mail heading. Which one"
            " holds the guests?",
            tuple(Choice(quote_headings([sheet]), replace(self.options, sheet=sheet)) for sheet in others),
        )

    def _has_headings(self, sheet: str) -> bool:
        top, size = [], 0
        for index, (line, cells) in enumerate(islice(self._book.rows(sheet), 10 * LINES_LOOKED_AT)):
            size += len(cells)
            if any(map(str.strip, cells)):
                top.append(Line(line, index, cells))
            if size > SAMPLE_CELLS:
                break
        return find_headings(top, replace(self.options, header_line=0)) is not None

    def _ask_about_hidden(self) -> None:
        if not self.hidden or self.options.hidden:
            return
        one = self.hidden == 1
        why = " (a filter is on)" if self._structure.filtered else ""
        problem = f"{self.name} has {self.hidden:,} hidden {'row' if one else 'rows'}{why}"
        it = "it" if one else "them"
        raise Ambiguity(
            f"{problem}; say --hidden include to invite {it} too, or --hidden skip to leave {it} out.",
            f"{problem}. {'Is it' if one else 'Are they'} to be invited too?",
            (
                Choice(f"leave {it} out", replace(self.options, hidden="skip")),
                Choice(f"invite {it} too", replace(self.options, hidden="include")),
            ),
        )

    def _ask_about_merged(self, cells: Sequence[str]) -> None:
        """Raise `Ambiguity` where one e-mail heading stands over several columns."""
        if "email" in self.options.mapping:
            return
        line = self.headings.line
        for merged in self._structure.merged:
            if merged.left == merged.right or not merged.top <= line <= merged.bottom or merged.left > len(cells):
                continue
            try:
                fields = parse_headings([cells[merged.left - 1]], self.name).fields
            except InputError:
                continue
            if fields != ("email",):
                continue
            columns = range(merged.left, min(merged.right, merged.left + LINES_LOOKED_AT) + 1)
            heading = quote_headings([cells[merged.left - 1]])
            where = f"columns {column_letters(merged.left)} to {column_letters(merged.right)}"
            ways = " or ".join(f"--map email='#{column}'" for column in columns)
            raise Ambiguity(
                f"{self.name} has one heading {heading} over {where}; say which one holds the addresses: {ways}.",
                f"{self.name} has one heading {heading} over {where}. Which column holds the addresses?",
                tuple(
                    Choice(
                        f"column {column_letters(column)}",
                        replace(
                            self.options, mapping={**self.options.mapping, "email": f"#{column}"}, header_line=line
                        ),
                    )
                    for column in columns
                ),
            )


def _fill_merged(headings: Line, above: Sequence[Line], structure: Structure) -> list[str]:
    """Return the headings with those of merged cells that begin in a line above."""
    cells = list(headings.cells)
    by_line = {line.line: line.cells for line in above}
    for merged in structure.merged:
        if merged.left != merged.right or not merged.top < headings.line <= merged.bottom:
            continue
        column = merged.left - 1
        from_above = by_line.get(merged.top, ())
        if column < len(from_above):
            cells += [""] * (column + 1 - len(cells))
            cells[column] = cells[column].strip() or from_above[column]
    return cells
