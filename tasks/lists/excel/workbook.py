"""An Excel workbook is opened to be read: its sheets as rows of text, and what of them is hidden or
merged.

Its parts are read as a stream within bounds (`xml_parts`, `sheet_xml`), because openpyxl keeps
every row's element, every format and every text in memory: a file of 60 kB can make that gigabytes.
openpyxl says what a number format shows, and writes. Whatever a damaged or hostile file makes of it
is one sentence.
"""

from __future__ import annotations

import posixpath
import struct
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Final

from tasks.errors import InputError, ListError
from tasks.lists.excel.shared_texts import SharedTexts
from tasks.lists.excel.sheet_xml import Meanings, Structure, read_rows, scan
from tasks.lists.excel.workbook_parts import Formats, read_formats, read_links, read_sheets

MARK: Final = b"PK\x03\x04"
"""How every zip file begins, and so every workbook."""
_MOST_UNPACKED: Final = 1 << 30
"""Bytes of a sheet or of the shared texts: a million rows are a fifth of it."""
_MOST_SMALL: Final = 16 << 20
"""Bytes of any other part that is read; the formats of a very full workbook take some ten."""
_MOST_PACKED: Final = 100
"""How many times its size a part may unpack to. Sheets come to 20; the bound is that of Apache
POI's ZipSecureFile.
"""
_ALWAYS: Final = 1 << 20  # bytes that any part may unpack to
_MOST_DIRECTORY: Final = (
    4 << 20
)  # bytes of the zip's table of contents, which is read whole: tens of thousands of parts
_NO_READER: Final = (
    "is an Excel workbook, and usher was installed without what reads those: whoever installed it adds the extra xlsx"
    " (pip install 'entra-usher[xlsx]'), or save the list as “CSV UTF-8”"
)
_NOT_EXCEL: Final = (
    ("xl/workbook.bin", "is a binary Excel workbook (.xlsb); save it as .xlsx"),
    ("word/document.xml", "is a Word document; the list must be an Excel, CSV or JSONL file"),
    ("content.xml", "is an OpenDocument file; save it as .xlsx or as CSV"),
)


@dataclass(frozen=True, slots=True)
class _Sheet:
    title: str
    part: str
    visible: bool


class Workbook:
    """An open workbook. Raises `InputError` for one that is none, is damaged, or is too large."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self.name = name
        with self.guarded(name):
            try:
                import openpyxl  # noqa: F401 - the sentence comes before the reading
            except ImportError:
                raise InputError(f"{name} {_NO_READER}.") from None
            _check_directory(file)
            self._archive = zipfile.ZipFile(file)
            self._parts = {info.filename: info for info in self._archive.infolist()}
            self._check_kind()
            self._read_workbook()
        self.sheets = tuple(sheet.title for sheet in self._sheets.values() if sheet.visible)
        self.all_sheets = tuple(self._sheets)
        if not self.all_sheets:
            raise InputError(f"{name} holds no sheet with cells.")

    def rows(self, sheet: str) -> Iterator[tuple[int, Sequence[str]]]:
        """Yield a sheet's rows as text with their numbers, empty ones included."""
        with self.guarded(self.name):
            stream = self._open(self._sheets[sheet].part, _MOST_UNPACKED)
            meanings = Meanings(self._shared_texts(), self._formats.dates, self._formats.date_text)
            blocks = read_rows(stream, self.name, meanings)
        expected = 1
        with stream:
            while True:
                with self.guarded(self.name):
                    block = next(blocks, None)
                if block is None:
                    return
                for number, cells in block:
                    for missing in range(expected, number):
                        yield missing, ()
                    expected = number + 1
                    yield number, cells

    def structure(self, sheet: str) -> Structure:
        """Return what a sheet's cells do not say."""
        with self.guarded(self.name), self._open(self._sheets[sheet].part, _MOST_UNPACKED) as stream:
            return scan(stream, self.name)

    def close(self) -> None:
        """Close it; the file stays its owner's."""
        self._archive.close()

    def _check_kind(self) -> None:
        for part, what in _NOT_EXCEL:
            if part in self._parts:
                raise InputError(f"{self.name} {what}.")
        if "[Content_Types].xml" not in self._parts or not any(part.startswith("xl/") for part in self._parts):
            raise InputError(f"{self.name} is a zip file, not an Excel workbook; unpack it first.")

    def _read_workbook(self) -> None:
        with self._open("_rels/.rels", _MOST_SMALL) as stream:
            root = next(
                (link.target for link in read_links(stream, "") if link.kind == "officeDocument"), "xl/workbook.xml"
            )
        folder, base = posixpath.split(root)
        with self._open(f"{folder}/_rels/{base}.rels", _MOST_SMALL) as stream:
            links = read_links(stream, folder)
        with self._open(root, _MOST_SMALL) as stream:
            found = read_sheets(stream)
        by_id = {link.id: link for link in links if link.kind == "worksheet"}
        self._sheets = {
            title: _Sheet(title, by_id[link].target, visible) for title, link, visible in found.sheets if link in by_id
        }
        self._shared: SharedTexts | None = None
        self._shared_part = next((link.target for link in links if link.kind == "sharedStrings"), "")
        styles = next((link.target for link in links if link.kind == "styles"), "")
        self._formats = Formats(found.since_1904)
        if styles in self._parts:
            with self._open(styles, _MOST_SMALL) as stream:
                self._formats = read_formats(stream, since_1904=found.since_1904)

    def _shared_texts(self) -> SharedTexts:
        if self._shared is None:
            if self._shared_part in self._parts:
                with self._open(self._shared_part, _MOST_UNPACKED) as stream:
                    self._shared = SharedTexts(stream, self.name)
            else:
                self._shared = SharedTexts(None, self.name)
        return self._shared

    def _open(self, part: str, most: int) -> IO[bytes]:
        info = self._parts[part]
        if info.compress_type not in (
            zipfile.ZIP_STORED,
            zipfile.ZIP_DEFLATED,
        ):  # others may ask for any amount of memory
            raise ValueError("packed as no spreadsheet packs")
        tight = info.file_size > _ALWAYS and info.file_size > _MOST_PACKED * info.compress_size
        if info.file_size > most or tight:
            raise InputError(
                f"{self.name} holds {info.file_size >> 20:,} MB in {posixpath.basename(part)[:40]!a}, more than usher"
                " reads of a file of this size; save the list as “CSV UTF-8”."
            )
        return self._archive.open(info)

    @staticmethod
    @contextmanager
    def guarded(name: str) -> Iterator[None]:
        """Turn whatever openpyxl, zipfile and expat raise into one sentence, and keep their
        warnings to ourselves.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        except (ListError, MemoryError):
            raise
        # A damaged file ends in any of some twenty, from zlib.error to KeyError
        except Exception as error:  # noqa: BLE001
            raise InputError(
                f"{name} is damaged, or no Excel workbook that can be read ({type(error).__name__}); open it in Excel"
                " and save it anew, or save the list as “CSV UTF-8”."
            ) from None


def _check_directory(file: IO[bytes]) -> None:
    """Raise `ValueError` for a table of contents that would fill the memory: zipfile reads it
    whole.

    https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT 4.3.16
    """
    end = file.seek(0, 2)
    file.seek(max(0, end - (1 << 16) - 22))
    tail = file.read()
    file.seek(0)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + 22:
        raise zipfile.BadZipFile("no end of central directory")
    (size,) = struct.unpack_from("<L", tail, at + 12)
    if size > _MOST_DIRECTORY:
        raise ValueError("more parts than a workbook has")
