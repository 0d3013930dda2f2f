"""The bytes of a list as physical lines of text, a block at a time: however long the list or a line is, memory is bounded.

A file that is no UTF-8 text is refused here, with the line and what it looks like instead. Lines keep their ends (`\\n`,
`\\r\\n` or a lone `\\r`), which is what the csv module wants.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final, Protocol

from tasks.errors import InputError

MAX_LINE_BYTES: Final = 1_000_000
"""The longest line, and about the longest record, that is read; a row with every field full is some 20 kB."""

_BLOCK_BYTES: Final = 1 << 18  # larger ones are not faster, smaller ones are
_UTF8_MARK: Final = b"\xef\xbb\xbf"
_FOREIGN: Final = (  # how files begin that people take for a CSV
    (b"PK\x03\x04", "is an Excel workbook or another zip file; save the list as “CSV UTF-8”"),
    (b"\xd0\xcf\x11\xe0", "is an old Excel workbook; save the list as “CSV UTF-8”"),
    (b"%PDF", "is a PDF; the list must be a CSV or JSONL file"),
    (b"\x1f\x8b", "is compressed with gzip; unpack it first"),
    (b"\xff\xfe", "is UTF-16 text; save the list as “CSV UTF-8”"),
    (b"\xfe\xff", "is UTF-16 text; save the list as “CSV UTF-8”"),
)
_LONGEST_MARK: Final = max(len(mark) for mark, _ in _FOREIGN)


class ByteSource(Protocol):
    """An open binary file, pipe or standard input; it is only read forward."""

    def read(self, size: int, /) -> bytes: ...


class TextLines:
    """The lines of one source, in one pass.

    `head` is the first character that is not blank ("" in an empty source), so that a caller can tell formats apart before the
    first line is taken; leading blank lines are passed over and counted in `skipped`. A caller that joins lines into records
    sets `pending_bytes` to 0 after each, so that a record that never ends is noticed. Raises `InputError`.
    """

    __slots__ = ("_first", "_lines_before", "_pieces", "_source", "head", "name", "pending_bytes", "skipped")

    def __init__(self, source: ByteSource, name: str) -> None:
        self.name = name
        self.pending_bytes = 0
        self._source = source
        self._lines_before = 0  # in the pieces decoded so far, for messages
        self._pieces = self._read_pieces()
        self.skipped = 0
        self._first = ""
        for piece in self._pieces:
            before = self._lines_before
            text = self._decode(piece)
            if text.strip():
                indent = text[: len(text) - len(text.lstrip())]
                cut = max(indent.rfind("\n"), indent.rfind("\r")) + 1  # blanks that indent the first line stay with it
                self.skipped = before + _count_lines(indent[:cut].encode())
                self._first = text[cut:]
                break
        self.head = self._first.lstrip()[:1]

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self._blocks())

    def _blocks(self) -> Iterator[Iterable[str]]:
        # StringIO splits lines in C, and only where CSV does (str.splitlines would at U+2028, too).
        self.pending_bytes = len(self._first)
        yield io.StringIO(self._first, newline="")
        self._first = ""
        for piece in self._pieces:
            if self.pending_bytes > MAX_LINE_BYTES + _BLOCK_BYTES:
                raise InputError(
                    f"{self.name} has a record of more than {MAX_LINE_BYTES:,} bytes that is still open in line"
                    f" {self._lines_before}; a quotation mark is probably never closed."
                )
            self.pending_bytes += len(piece)
            yield io.StringIO(self._decode(piece), newline="")

    def _read_pieces(self) -> Iterator[bytes]:
        """Yield whole lines, many at a time; the very last one may lack its end."""
        carry = bytearray()
        for block in self._read_blocks():
            if b"\0" in block:
                raise InputError(
                    f"{self.name} is not a text file (it has zero bytes); the list must be CSV or JSONL in UTF-8."
                )
            if cut := _end_of_lines(block):
                piece = bytes(carry) + block[:cut] if carry else block[:cut]
                carry[:] = block[cut:]
                if len(piece) > MAX_LINE_BYTES and _end_of_first_line(piece) > MAX_LINE_BYTES:
                    raise self._too_long()
                yield piece
            else:
                carry += block
            if len(carry) > MAX_LINE_BYTES:
                raise self._too_long()
        if carry:
            yield bytes(carry)

    def _read_blocks(self) -> Iterator[bytes]:
        """Yield the source as it comes, without the UTF-8 mark at its beginning."""
        # `read1` gives what a pipe holds already, where `read` would wait until the block is full.
        read = getattr(self._source, "read1", self._source.read)
        start = b""
        try:
            while len(start) < _LONGEST_MARK and (block := read(_BLOCK_BYTES)):
                start += block
            yield self._strip_mark(start)
            while block := read(_BLOCK_BYTES):
                yield block
        except OSError as error:
            raise InputError(f"{self.name} cannot be read: {error.strerror or error}.") from None

    def _strip_mark(self, start: bytes) -> bytes:
        for mark, what in _FOREIGN:
            if start.startswith(mark):
                raise InputError(f"{self.name} {what}.")
        return start.removeprefix(_UTF8_MARK)

    def _decode(self, piece: bytes) -> str:
        try:
            text = piece.decode()
        except UnicodeDecodeError as error:
            line = self._lines_before + _count_lines(piece[: error.start]) + 1
            raise InputError(
                f"{self.name} is not UTF-8 text in line {line}{_guess(piece, error.start)}; save the list as “CSV UTF-8”."
            ) from None
        self._lines_before += _count_lines(piece)
        return text

    def _too_long(self) -> InputError:
        line = self._lines_before + 1
        return InputError(
            f"{self.name} has a line of more than {MAX_LINE_BYTES:,} bytes (line {line}); this is not a list of guests."
        )


def _end_of_lines(block: bytes) -> int:
    """Return where the last line that is complete ends, 0 if there is none."""
    cut = block.rfind(b"\n") + 1
    # Classic Mac files have no line feed; a `\r` at the very end may be the first half of `\r\n` and has to wait.
    return cut or block.rfind(b"\r", 0, len(block) - 1) + 1


def _end_of_first_line(piece: bytes) -> int:
    ends = [end for end in (piece.find(b"\n"), piece.find(b"\r")) if end >= 0]
    return min(ends, default=len(piece))


def _count_lines(piece: bytes) -> int:
    returns = piece.count(b"\r")
    return piece.count(b"\n") + (returns - piece.count(b"\r\n") if returns else 0)


def _guess(piece: bytes, start: int) -> str:
    """Name the usual culprit: Excel's plain "CSV" on a Western Windows, where a lone byte above 0x9f is a letter."""
    line = piece[piece.rfind(b"\n", 0, start) + 1 :].split(b"\n", 1)[0]
    try:
        text = line.decode("cp1252")
    except UnicodeDecodeError:
        return ""
    odd = [character for character in text if ord(character) > 127]
    letters = sum(character.isalpha() or character in "€–—‘’“”„…·´°" for character in odd)
    return " (it looks like Windows-1252, what Excel writes as plain “CSV”)" if odd and letters * 2 > len(odd) else ""
