"""The bytes of a list become physical lines of text, a block at a time: however long list or line,
memory is bounded.

The encoding is recognised on the way: as long as everything is ASCII it may still be UTF-8 or
Windows-1252, and the first other character decides. Lines keep their ends (`\\n`, `\\r\\n` or a
lone `\\r`), which is what the csv module wants.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from tasks.errors import InputError
from tasks.lists.encodings import (
    UTF8_MARK,
    UTF16_MARKS,
    WINDOWS,
    ByteSource,
    Prefixed,
    Transcoded,
    check_encoding,
    decode_windows,
    describe_encoding,
    describe_place,
)
from tasks.lists.options import ListOptions

MAX_LINE_BYTES: Final = 1_000_000
"""The longest line, and about the longest record, that is read; a full row is some 20 kB."""

BLOCK_BYTES: Final = 1 << 18
"""Read at a time; larger ones are not faster, smaller ones are slower."""
_PEEK_LINES: Final = 60  # twenty lines with quoted line breaks in them, and some rows below the headings
_PEEK_CHARACTERS: Final = 1 << 18
_FOREIGN: Final = (  # how files begin that people take for a CSV
    (b"PK\x03\x04", "is an Excel workbook or another zip file; give it as a file, not as text"),
    (b"\xd0\xcf\x11\xe0", "is an old Excel workbook, or one with a password; save it as .xlsx without a password"),
    (b"%PDF", "is a PDF; the list must be a CSV, Excel or JSONL file"),
    (b"\x1f\x8b", "is compressed with gzip; unpack it first"),
    (
        b"BEGIN:VC",
        (
            "is a vCard file, as Apple's Contacts export them; drag the contacts into Numbers there, and export that"
            " as CSV"
        ),
    ),
)
_LONGEST_MARK: Final = max(len(mark) for mark, _ in _FOREIGN)


class RecordTooLong(InputError):
    """A record goes on and on; whoever joins lines into records knows where it began."""


class TextLines:
    """The lines of one source, in one pass.

    `head` is the first character that is not blank ("" in an empty source), so that a caller can
    tell formats apart before the first line is taken; leading blank lines are passed over and
    counted in `skipped`. A caller that joins lines into records sets `pending_bytes` to 0 after
    each, so that a record that never ends is noticed. `plain` is true while the block that the last
    lines came from holds nothing but ASCII. Raises `InputError`, `Ambiguity` for an encoding that
    nobody can be sure of.
    """

    __slots__ = (
        "_encoding",
        "_first",
        "_lines_before",
        "_options",
        "_pieces",
        "_source",
        "_told",
        "has_mark",
        "head",
        "name",
        "pending_bytes",
        "plain",
        "skipped",
    )

    def __init__(self, source: ByteSource, name: str, options: ListOptions | None = None) -> None:
        self.name = name
        self.pending_bytes = 0
        self.plain = True
        self.has_mark = False
        """Whether the text begins with a mark of its encoding."""
        self._options = options or ListOptions()
        self._told = check_encoding(self._options.encoding)
        self._encoding = ""  # of the text so far: "" while it is all ASCII
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

    @property
    def encoding(self) -> str:
        """The encoding by Python's name; a text of nothing but ASCII is UTF-8."""
        return self._told or self._encoding or "utf-8"

    def peek(self) -> str:
        """Return the text's beginning, some sixty lines or all; iterating still has all of it."""
        while len(self._first) < _PEEK_CHARACTERS and _count_lines(self._first.encode()) < _PEEK_LINES:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._first += self._decode(piece)
        return self._first

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self._blocks())

    def _blocks(self) -> Iterator[Iterable[str]]:
        # StringIO splits lines in C, and only where CSV does (str.splitlines would at U+2028, too).
        self.pending_bytes = len(self._first)
        before = self.plain = self._first.isascii()
        yield io.StringIO(self._first, newline="")
        self._first = ""
        for piece in self._pieces:
            if self.pending_bytes > MAX_LINE_BYTES + BLOCK_BYTES:
                raise RecordTooLong(
                    f"{self.name} has a record of more than {MAX_LINE_BYTES:,} bytes that is still open in line"
                    f" {self._lines_before}; a quotation mark is probably never closed."
                )
            self.pending_bytes += len(piece)
            text = self._decode(piece)
            after = piece.isascii()
            self.plain = before and after  # a record may have begun in the block before
            before = after
            yield io.StringIO(text, newline="")

    def _read_pieces(self) -> Iterator[bytes]:
        """Yield whole lines, many at a time; the very last one may lack its end."""
        carry = bytearray()
        for block in self._read_blocks():
            if b"\0" in block:
                raise InputError(
                    f"{self.name} is not a text file (it has zero bytes); the list must be a CSV, Excel or JSONL file."
                    " Text that is UTF-16 without a mark is read with --encoding utf-16-le."
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
        """Yield the source as it comes, as UTF-8 or Windows-1252, without its first mark."""
        source = Prefixed(b"", self._source)
        start = b""
        try:
            while len(start) < _LONGEST_MARK and (block := source.read(BLOCK_BYTES)):
                start += block
            yield from self._read_from(start)
        except OSError as error:
            raise InputError(f"{self.name} cannot be read: {error.strerror or error}.") from None

    def _read_from(self, start: bytes) -> Iterator[bytes]:
        for mark, what in _FOREIGN:
            if start.startswith(mark):
                raise InputError(f"{self.name} {what}.")
        marked = UTF16_MARKS.get(start[:2], "")
        if marked and self._told in ("", "utf-16", marked):
            self.has_mark, self._encoding, self._told = True, marked, ""
            source: ByteSource = Transcoded(Prefixed(start[2:], self._source), marked, self.name)
        elif self._told and self._told != "utf-8":
            source = Transcoded(Prefixed(start, self._source), self._told, self.name)
        else:
            self.has_mark = start.startswith(UTF8_MARK)
            if self.has_mark:
                self._encoding = "utf-8"
            source = Prefixed(start.removeprefix(UTF8_MARK), self._source)
        while block := source.read(BLOCK_BYTES):
            yield block

    def _decode(self, piece: bytes) -> str:
        if self._encoding == WINDOWS:
            text = decode_windows(piece, self.name, self._lines_before + 1, self._options)
        else:
            try:
                text = piece.decode()
            except UnicodeDecodeError as error:
                text = self._decode_other(piece, error.start)
            else:
                if not self._encoding and not piece.isascii():
                    self._encoding = "utf-8"
        self._lines_before += _count_lines(piece)
        return text

    def _decode_other(self, piece: bytes, at: int) -> str:
        """Decode the first piece that is no UTF-8. Raises `InputError` where UTF-8 came before, or
        was promised.
        """
        if self._encoding or self._told or not piece[:at].isascii():
            where = describe_place(piece, at, self._lines_before + 1)
            raise InputError(
                f"{self.name} is not {describe_encoding(self.encoding)} text in {where}: two encodings were mixed, or"
                " something was cut off; save the list as “CSV UTF-8”."
            )
        text = decode_windows(piece, self.name, self._lines_before + 1, self._options)
        self._encoding = WINDOWS
        return text

    def _too_long(self) -> InputError:
        line = self._lines_before + 1
        return InputError(
            f"{self.name} has a line of more than {MAX_LINE_BYTES:,} bytes (line {line}); this is not a list of guests."
        )


def _end_of_lines(block: bytes) -> int:
    """Return where the last line that is complete ends, 0 if there is none."""
    cut = block.rfind(b"\n") + 1
    # Classic Mac files have no line feed; a `\r` at the very end may be the first half of `\r\n`
    # and has to wait.
    return cut or block.rfind(b"\r", 0, len(block) - 1) + 1


def _end_of_first_line(piece: bytes) -> int:
    ends = [end for end in (piece.find(b"\n"), piece.find(b"\r")) if end >= 0]
    return min(ends, default=len(piece))


def _count_lines(piece: bytes) -> int:
    returns = piece.count(b"\r")
    return piece.count(b"\n") + (returns - piece.count(b"\r\n") if returns else 0)
