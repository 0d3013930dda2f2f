"""The small parts of a workbook say which sheets it has, and which styles show a date."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from typing import IO, Final

from tasks.lists.excel.sheet_xml import text_of
from tasks.lists.excel.xml_parts import Handler, read_xml

_MOST_STYLES: Final = 100_000  # Excel: 65,490 formats of cells
_LONGEST_CODE: Final = 1_000  # characters of a number format that are looked at; Excel: 255


@dataclass(frozen=True, slots=True)
class Link:
    """From one part to another: the id it is named by, its kind's address's end, and the part."""

    id: str
    kind: str
    target: str


def read_links(stream: IO[bytes], folder: str) -> list[Link]:
    """Return the links of a `.rels` part that belongs to a part in `folder`."""
    found = _Links(folder)
    read_xml(stream, found)
    return found.links


@dataclass(slots=True)
class Sheets(Handler):
    """The sheets in their order, each with title, id of its link and whether it is visible; whether
    dates count from 1904.
    """

    sheets: list[tuple[str, str, bool]] = field(default_factory=list)
    since_1904: bool = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """As in `xml_parts.Handler`."""
        if name == "sheet":
            link = next((value for key, value in attributes.items() if key.rpartition(":")[2] == "id"), "")
            self.sheets.append((attributes["name"], link, attributes.get("state", "visible") == "visible"))
        elif name == "workbookPr":
            self.since_1904 = attributes.get("date1904") in ("1", "true")


def read_sheets(stream: IO[bytes]) -> Sheets:
    """Return what the workbook part says."""
    found = Sheets()
    read_xml(stream, found)
    return found


class Formats:
    """The styles that show a number as a date or as a span of time. `codes`: formats by style."""

    def __init__(self, since_1904: bool, codes: dict[int, str] | None = None) -> None:
        from openpyxl.styles.numbers import is_date_format, is_timedelta_format

        self._since_1904 = since_1904
        self.dates = frozenset(style for style, code in (codes or {}).items() if is_date_format(code))
        self._spans = frozenset(style for style in self.dates if is_timedelta_format((codes or {})[style]))

    def date_text(self, number: float, style: int) -> str:
        """Return a number of one of these styles as a date."""
        from openpyxl.utils.datetime import MAC_EPOCH, WINDOWS_EPOCH, from_excel

        epoch = MAC_EPOCH if self._since_1904 else WINDOWS_EPOCH
        try:
            return text_of(from_excel(number, epoch, timedelta=style in self._spans))
        except (OverflowError, ValueError):  # outside the years that dates have
            return "#VALUE!"


def read_formats(stream: IO[bytes], *, since_1904: bool) -> Formats:
    """Return the date formats of a styles part, of which nothing else is kept."""
    found = _Styles()
    read_xml(stream, found)
    return Formats(since_1904, found.codes_by_style())


class _Links(Handler):
    def __init__(self, folder: str) -> None:
        self.links: list[Link] = []
        self._folder = folder

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "Relationship" and attributes.get("TargetMode") != "External":
            target = posixpath.normpath(posixpath.join("/", self._folder, attributes["Target"])).lstrip("/")
            self.links.append(Link(attributes["Id"], attributes["Type"].rpartition("/")[2], target))


class _Styles(Handler):
    def __init__(self) -> None:
        self._codes: dict[int, str] = {}
        self._numbers: list[int] = []
        self._inside = False

    def codes_by_style(self) -> dict[int, str]:
        from openpyxl.styles.numbers import BUILTIN_FORMATS

        codes = BUILTIN_FORMATS | self._codes
        return {style: codes[number] for style, number in enumerate(self._numbers) if number in codes}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "cellXfs":
            self._inside = True
        elif name == "xf" and self._inside:
            self._numbers.append(int(attributes.get("numFmtId") or 0))
        elif name == "numFmt":
            self._codes[int(attributes["numFmtId"])] = attributes["formatCode"][:_LONGEST_CODE]
        if len(self._numbers) > _MOST_STYLES or len(self._codes) > _MOST_STYLES:
            raise ValueError("more formats than Excel holds")

    def end(self, name: str) -> None:
        if name == "cellXfs":
            self._inside = False
