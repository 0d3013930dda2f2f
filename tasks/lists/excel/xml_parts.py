"""The XML inside a workbook is read piece by piece: whatever a part holds, reading it takes a few
megabytes.

expat keeps in memory what is not finished (a tag, an attribute, a comment), every name that it has
met and every element that is open; each of them has a bound here. An entity is declared by no
spreadsheet, only by a bomb.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Final
from xml.parsers import expat

_BLOCK_BYTES: Final = 1 << 16
_MOST_UNFINISHED: Final = (
    1 << 20
)  # bytes of one tag or comment; the longest that a spreadsheet writes is some kilobytes
_MOST_NAMES: Final = 5_000  # of elements and attributes; a workbook uses some hundreds
_MOST_DEPTH: Final = 100


class Handler:
    """What is told of a part's elements, by their names without prefixes, and of the text between
    them, in pieces. This one passes over all of it.
    """

    __slots__ = ()

    def start(self, name: str, attributes: dict[str, str], /) -> None:
        """An element begins."""

    def end(self, name: str, /) -> None:
        """An element ends."""

    def text(self, piece: str, /) -> None:
        """Some text."""


def read_xml(stream: IO[bytes], handler: Handler) -> None:
    """Read a part to its end. Raises `ValueError` for what no program writes, expat's errors."""
    for _ in read_xml_in_blocks(stream, handler):
        pass


def read_xml_in_blocks(stream: IO[bytes], handler: Handler) -> Iterator[None]:
    """The same, with a pause after each block, for those who take what the handler has gathered."""
    names: dict[str, str] = {}
    parser = expat.ParserCreate(intern=names)
    local: dict[str, str] = {}
    depth, fed = 0, 0
    begin, finish = handler.start, handler.end

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _MOST_DEPTH:
            raise ValueError("elements in elements in elements")
        known = local.get(name)
        if known is None:
            known = local[name] = name.rpartition(":")[2]
        begin(known, attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        finish(local[name])

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.EntityDeclHandler = handler.text, _refuse
    parser.buffer_text = True
    while block := stream.read(_BLOCK_BYTES):
        parser.Parse(block, False)
        fed += len(block)
        if fed - max(parser.CurrentByteIndex, 0) > _MOST_UNFINISHED or len(names) > _MOST_NAMES:
            raise ValueError("a tag without an end, or too many names")
        yield
    parser.Parse(b"", True)
    yield


def _refuse(*_: object) -> None:
    raise ValueError("an entity")
