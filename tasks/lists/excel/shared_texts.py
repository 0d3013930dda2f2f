"""The cells of a workbook share texts, kept packed: a few million of them in a fraction of what
Python's own texts take.
"""

from __future__ import annotations

from array import array
from typing import IO, Final

from tasks.errors import InputError
from tasks.lists.excel.xml_parts import Handler, read_xml

MOST_TEXTS: Final = 4_000_000
"""Three columns of nothing but different texts in a sheet that is full."""
MOST_BYTES: Final = 80 << 20
"""Of all of them, in UTF-8."""
MOST_CHARACTERS: Final = 32_767
"""In a cell: https://support.microsoft.com/office/excel-specifications-and-limits"""


class SharedTexts:
    """Texts by their number. Raises `InputError` for more of them than a list of guests needs."""

    def __init__(self, stream: IO[bytes] | None, name: str) -> None:
        self._ends = array("L", [0])
        self._packed = bytearray()
        if stream is not None:
            read_xml(stream, _Gathering(self._ends, self._packed, name))

    def __getitem__(self, number: int) -> str:
        if not 0 <= number < len(self._ends) - 1:
            raise IndexError(number)
        return self._packed[self._ends[number] : self._ends[number + 1]].decode("utf-8", "surrogatepass")


class _Gathering(Handler):
    """Takes the texts of `<si>` elements, without how Japanese is read aloud (`<rPh>`)."""

    def __init__(self, ends: array[int], packed: bytearray, name: str) -> None:
        self._ends, self._packed, self._name = ends, packed, name
        self._inside = self._aloud = False
        self._size = 0

    def start(self, name: str, _: dict[str, str]) -> None:
        if name == "t":
            self._inside = not self._aloud
        elif name == "rPh":
            self._aloud = True
        elif name == "si":
            self._size = 0

    def end(self, name: str) -> None:
        if name == "t":
            self._inside = False
        elif name == "si":
            self._ends.append(len(self._packed))
            if len(self._ends) > MOST_TEXTS or len(self._packed) > MOST_BYTES:
                raise InputError(
                    f"{self._name} holds more text than usher reads of a workbook ({MOST_TEXTS:,} texts,"
                    f" {MOST_BYTES >> 20} MB); save the list as “CSV UTF-8”."
                )
        elif name == "rPh":
            self._aloud = False

    def text(self, piece: str) -> None:
        if self._inside:
            self._size += len(piece)
            if self._size > MOST_CHARACTERS:
                raise InputError(describe_long_cell(self._name))
            self._packed += piece.encode("utf-8", "surrogatepass")


def describe_long_cell(name: str) -> str:
    """Return why a workbook with such a cell is refused."""
    return (
        f"{name} has a cell of more than {MOST_CHARACTERS:,} characters, which Excel itself does not hold; this is not"
        " a list of guests."
    )
