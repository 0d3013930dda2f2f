"""Results become an Excel workbook: a new one, or the admin's own with the outcomes beside it."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO, Any, Final

from tasks.errors import OutputError
from tasks.lists.excel.sheet_xml import MOST_ROWS
from tasks.lists.excel.workbook import Workbook
from tasks.results.table import Cell, Table

MOST_EDITED: Final = 200_000
"""Cells up to which the workbook itself is filled in: in openpyxl's memory each takes some 500
bytes, and nothing of a workbook may cost more than 150 MB. Beyond that a new workbook gets its
values.
"""
_MOST_SHEETS: Final = 24 << 20  # bytes of the sheets' XML
_MOST_BESIDE: Final = 4 << 20  # bytes of everything else, formats and pictures included

_NO_LIBRARY: Final = (
    "Excel files need what usher was installed without: whoever installed it adds the extra xlsx (pip install"
    " 'entra-usher[xlsx]'); --format csv needs nothing."
)
_NOT_IN_XML: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_LONGEST: Final = 32_767  # characters in a cell: the page named in `tasks/lists/excel/workbook.py`
_WIDTHS: Final = {"email": 34, "display_name": 24, "error_message": 60, "redeem_url": 24, "finished_at": 26}


def write_workbook(table: Table, stream: IO[bytes]) -> int:
    """Write a table as a workbook of one sheet; returns how many rows. Raises `OutputError`."""
    try:
        from openpyxl import Workbook as NewWorkbook
    except ImportError:
        raise OutputError(_NO_LIBRARY) from None
    book = NewWorkbook(write_only=True)
    sheet: Any = book.create_sheet("Guests")
    sheet.freeze_panes = f"A{len(table.top) + 1}"
    headings = table.top[-1]
    for index, heading in enumerate(headings):
        from openpyxl.utils import get_column_letter

        if width := _WIDTHS.get(str(heading)):
            sheet.column_dimensions[get_column_letter(index + 1)].width = width
    try:
        count = _append(table, sheet)
    except BaseException:
        sheet.close()  # else openpyxl's writer complains on the terminal when it is collected
        sheet._writer.cleanup()
        raise
    _save(book, stream)
    return count


def _save(book: Any, stream: IO[bytes]) -> None:
    """Write a book as `book.save` does, which leaves the archive that it began to the garbage
    collector where the disk is full, and that tells of it on the terminal.
    """
    from openpyxl.writer.excel import ExcelWriter

    archive = zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED)
    try:
        ExcelWriter(book, archive).save()
    except BaseException:
        with suppress(Exception):  # it fails again, and is closed
            archive.close()
        raise


def _append(table: Table, sheet: Any) -> int:
    count = 0
    for cells in table.top:
        sheet.append([_value(cell) for cell in cells])
    for row in table.rows:
        count += 1
        if count + len(table.top) > MOST_ROWS:
            raise OutputError(
                f"An Excel sheet holds at most {MOST_ROWS:,} rows, and there are more results; take --format csv."
            )
        sheet.append([_value(cell) for cell in row.cells])
    return count


def can_be_edited(file: IO[bytes], name: str) -> bool:
    """Tell whether a workbook is small enough to be filled in as it is. Raises `InputError`."""
    with Workbook.guarded(name), zipfile.ZipFile(file) as archive:
        sizes = [(info.filename.startswith("xl/worksheets/sheet"), info.file_size) for info in archive.infolist()]
    if sum(size for is_sheet, size in sizes if is_sheet) > _MOST_SHEETS:
        return False
    if sum(size for is_sheet, size in sizes if not is_sheet) > _MOST_BESIDE:
        return False
    book = Workbook(file, name)
    try:
        return sum(book.structure(sheet).cells for sheet in book.all_sheets) <= MOST_EDITED
    finally:
        book.close()


def fill_in(
    file: IO[bytes],
    name: str,
    sheet: str,
    headings: tuple[int, int, Sequence[str]],
    outcomes: Callable[[], Mapping[int, Sequence[Cell]]],
    stream: IO[bytes],
    *,
    macros: bool = False,
) -> int:
    """Write the admin's own workbook with outcomes in it; returns the number of rows that got one.
    Raises `InputError`.

    `headings`: the row (from 1), the first column (from 1) and the texts of the new headings;
    `outcomes` gives cells by row. What the cells and sheets hold besides, formulas and formats
    included, stays as openpyxl knows it.
    """
    from openpyxl import load_workbook

    with Workbook.guarded(name):
        file.seek(0)
        book = load_workbook(file, keep_vba=macros)  # Excel opens no .xlsx that holds macros
        target: Any = book[sheet]
    row, column, texts = headings
    found = outcomes()
    with Workbook.guarded(name):
        for line, cells in ((row, texts), *found.items()):
            for index, cell in enumerate(cells):
                target.cell(line, column + index).value = _value(cell)
        _save(book, stream)
    return len(found)


def _value(cell: Cell) -> Cell | None:
    """Return what openpyxl may write: nothing that begins like a formula comes here, all text
    having been escaped or being a heading.
    """
    if not isinstance(cell, str):
        return cell
    return _NOT_IN_XML.sub("\ufffd", cell)[:_LONGEST] or None
