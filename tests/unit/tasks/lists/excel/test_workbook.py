"""What a workbook may cost: Excel's own bounds, and a sentence for whatever claims more."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta

import pytest

from tasks.errors import InputError
from tasks.lists.excel.workbook import Workbook
from tasks.lists.guest_list import GuestList
from tasks.results.sheets import can_be_edited
from tests.lists.exports import ANN, replaced, sheet

SHEET = "xl/worksheets/sheet1.xml"
PLAIN = sheet([["email", "name"], [ANN, "Ann"]])
LINK = b'<Relationship Id="s" Type="http://x/sharedStrings" Target="sharedStrings.xml"/></Relationships>'


def with_rows(xml: bytes) -> bytes:
    """Return a workbook with some XML behind its rows."""
    return replaced(PLAIN, SHEET, lambda data: data.replace(b"</sheetData>", xml + b"</sheetData>"))


def with_shared(table: bytes, cells: bytes = b"") -> bytes:
    """Return a workbook with texts that cells share."""
    data = replaced(with_rows(cells), "xl/_rels/workbook.xml.rels", lambda old: old.replace(b"</Relationships>", LINK))
    return repacked(data, zipfile.ZIP_DEFLATED, {"xl/sharedStrings.xml": table})


def repacked(workbook: bytes, packing: int, more: Mapping[str, bytes] | None = None) -> bytes:
    """Return a workbook packed anew."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook)) as old, zipfile.ZipFile(file, "w", packing) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
        for name, content in (more or {}).items():
            new.writestr(name, content)
    return file.getvalue()


def rows(data: bytes) -> list[list[str]]:
    """Return a workbook's first sheet as it is read."""
    book = Workbook(io.BytesIO(data), "list")
    found = [list(cells) for _, cells in book.rows(book.sheets[0])]
    book.close()
    return found


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (with_rows(b'<row r="3">' + b"<c/>" * 16_385 + b"</row>"), "more than 16,384 columns in row 3"),
        (with_rows(b'<row r="3"><c r="XFE3"/></row>'), "more than 16,384 columns in row 3"),
        (with_rows(b'<row r="3"><c t="str"><v>' + b"x" * 32_768 + b"</v></c></row>"), "more than 32,767 characters"),
        (with_shared(b"<sst><si><t>" + b"x" * 32_768 + b"</t></si></sst>"), "more than 32,767 characters"),
        (with_shared(b"<sst>" + b"<si><t>a</t></si>" * 100_000 + b"</sst>"), "1 MB in 'sharedStrings.xml'"),
        (with_rows(b'<row r="3">' + b"<c/>" * 1_000_000 + b"</row>"), "3 MB in 'sheet1.xml'"),
        (
            replaced(
                PLAIN, "xl/styles.xml", lambda old: old.replace(b"</styleSheet>", b"<xf/>" * 500_000 + b"</styleSheet>")
            ),
            "2 MB in 'styles.xml'",
        ),
        (
            repacked(replaced(PLAIN, "xl/styles.xml", lambda old: old + b" " * (17 << 20)), zipfile.ZIP_STORED),
            "17 MB in 'styles.xml'",
        ),
        (with_rows(b"<a>" * 101), "damaged"),
        (with_rows(b"".join(b"<a%d/>" % number for number in range(5_001))), "damaged"),
        (repacked(with_rows(b"<!--" + b"x" * (2 << 20) + b"-->"), zipfile.ZIP_STORED), "damaged"),
        (repacked(PLAIN, zipfile.ZIP_LZMA), "damaged"),
    ],
)  # fmt: skip
def test_what_no_spreadsheet_holds_is_refused(data: bytes, words: str) -> None:
    """Before it is in memory, with what it is that is too much."""
    with pytest.raises(InputError) as caught:
        list(GuestList(io.BytesIO(data), "list").rows())
    assert words in str(caught.value)
    assert str(caught.value).endswith(".")


def test_as_much_as_excel_holds_is_read() -> None:
    """The last column, the longest cell, texts that are shared, read aloud or spelled out."""
    cells = b'<row r="3"><c r="A3" t="s"><v>0</v></c><c r="XFD3" t="str"><v>' + b"x" * 32_767 + b"</v></c></row>"
    table = "<sst><si><t>佐</t><r><t>藤_x0041_</t></r><rPh><t>サトウ</t></rPh></si></sst>".encode()
    found = rows(with_shared(table, cells))
    assert (found[2][0], len(found[2]), found[2][-1]) == ("佐藤A", 16_384, "x" * 32_767)


def test_cells_are_the_texts_that_a_csv_would_have() -> None:
    """Numbers without a needless fraction, dates and times as ISO 8601 writes them, truth in small
    letters.
    """
    kinds = [
        1,
        1.5,
        -3,
        True,
        date(2026, 1, 2),
        datetime(2026, 1, 2, 3, 4, 5),  # noqa: DTZ001 - Excel knows no time zones
        time(5, 6),
        timedelta(hours=30),
        "a\nb",
        None,
        "Zoë",
    ]
    assert rows(sheet([["x"], [], kinds])) == [
        ["x"],
        [],
        [
            "1",
            "1.5",
            "-3",
            "true",
            "2026-01-02",
            "2026-01-02T03:04:05",
            "05:06:00",
            "1 day, 6:00:00",
            "a\nb",
            "",
            "Zoë",
        ],
    ]


def test_a_large_workbook_is_not_filled_in() -> None:
    """Openpyxl would hold all of its cells; it comes back as its values."""
    assert can_be_edited(io.BytesIO(PLAIN), "list")
    many = with_rows(b"".join(b'<row r="%d">' % row + b"<c/>" * 10_000 + b"</row>" for row in range(3, 24)))
    assert not can_be_edited(io.BytesIO(repacked(many, zipfile.ZIP_STORED)), "list")
    pictures = repacked(PLAIN, zipfile.ZIP_STORED, {"xl/media/image1.png": bytes(5 << 20)})
    assert not can_be_edited(io.BytesIO(pictures), "list")
