"""A list's encoding is found out: UTF-8, UTF-16 by its mark, else Windows-1252, which is what
Excel's plain "CSV" is in the West.

Windows-1252 can read nearly every byte, so what comes out is looked at: text that only another code
page explains is a question.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol

from tasks.errors import InputError
from tasks.lists.ambiguities import Ambiguity, Choice
from tasks.lists.options import ListOptions

UTF8_MARK: Final = b"\xef\xbb\xbf"
UTF16_MARKS: Final = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
WINDOWS: Final = "cp1252"

_NAMES: Final = {
    "utf-8": "UTF-8",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "cp1252": "Windows-1252",
    "cp1250": "Windows-1250",
    "cp1251": "Windows-1251",
    "cp1253": "Windows-1253",
    "mac-roman": "Macintosh",
    "cp850": "DOS (850)",
}
_OTHERS: Final = ("cp850", "mac-roman", "cp1250", "cp1251", "cp1253")
"""What spreadsheets write besides: "CSV (MS-DOS)", "CSV (Macintosh)", plain "CSV" in Central
Europe, on Cyrillic and Greek Windows.
"""

# A sign or a capital between small letters, several accented letters in a row, or an `Ã` and what
# follows it where UTF-8 is read as something else: hardly anybody is called so.
_ODD: Final = re.compile(
    r"[A-Za-z][‚„”“†‡ˆ‰‹›•˜™¡¢£¤¥¦§¨©«¬®¯°±²³´µ¶¸¹»¼½¾¿×÷][A-Za-z]|[A-Za-z][‡‰¢¤¥¦§¬]|[A-Za-z][ŠŽŒŸÀ-ÖØ-Þ][a-z]"
    r"|[À-ÖØ-öø-ÿ]{4,}|[ÃÂÐÑ][\u0080-¿‚-™]"
)


_CONTROLS: Final = "usher-controls"
"""How Windows itself reads the five bytes that Windows-1252 leaves out: as control characters,
which no field of a row may hold.
"""


def _as_controls(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error(_CONTROLS, _as_controls)


class ByteSource(Protocol):
    """An open binary file, pipe or standard input; it is only read forward."""

    def read(self, size: int, /) -> bytes: ...


class Prefixed:
    """A source that begins with what was read of it already."""

    __slots__ = ("_read", "_start")

    def __init__(self, start: bytes, source: ByteSource) -> None:
        self._start = start
        # `read1` gives what a pipe holds already, where `read` would wait until the block is full.
        self._read: Callable[[int], bytes] = getattr(source, "read1", source.read)

    def read(self, size: int, /) -> bytes:
        """Return some bytes, b"" at the end."""
        if self._start:
            start, self._start = self._start, b""
            return start
        return self._read(size)


class Transcoded:
    """A source in another encoding as a source of UTF-8. Raises `InputError` where the bytes are
    not what they are said to be.
    """

    def __init__(self, source: ByteSource, encoding: str, name: str) -> None:
        self._source = source
        self._name = name
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)(_CONTROLS if encoding == WINDOWS else "strict")
        self._over = False

    def read(self, size: int, /) -> bytes:
        """Return some bytes, b"" at the end."""
        text = ""
        while not text and not self._over:
            block = self._source.read(size)
            self._over = not block
            try:
                text = self._decoder.decode(block, final=self._over)
            except UnicodeError:
                raise InputError(
                    f"{self._name} is not {describe_encoding(self._encoding)} text all through; save the list as “CSV"
                    " UTF-8”, or name its encoding with --encoding."
                ) from None
        return text.encode("utf-8", "replace")


def check_encoding(name: str) -> str:
    """Return Python's name of an encoding for text, "" for none. Raises `InputError`."""
    if not name:
        return ""
    try:
        info = codecs.lookup(name)
        known = "a".encode(name).decode(name) == "a"
    except (LookupError, UnicodeError, ValueError):
        known = False
    if not known:
        raise InputError(f"--encoding does not know {name[:40]!a}; try utf-8, utf-16, cp1252, cp850 or mac-roman.")
    # What begins with a mark is read without it.
    return {"utf-8-sig": "utf-8"}.get(info.name, info.name)


def describe_encoding(encoding: str) -> str:
    """Return what an encoding is called in a sentence."""
    return _NAMES.get(encoding, encoding)


def decode_windows(piece: bytes, name: str, line: int, options: ListOptions) -> str:
    """Return bytes that are no UTF-8 as Windows-1252; `line` is the number of their first line.

    Raises `InputError` for bytes that mean nothing there, `Ambiguity` for text that nobody can have
    meant.
    """
    try:
        text = piece.decode(WINDOWS)
    except UnicodeDecodeError as error:
        problem = f"{name} is neither UTF-8 nor Windows-1252 text in {describe_place(piece, error.start, line)}"
        raise _ask(_word_around(piece, error.start), options, problem) from None
    if found := _ODD.search(text):
        where = describe_place(piece, found.start() + text[found.start()].isascii(), line)
        problem = f"{name} is not UTF-8, and read as Windows-1252 it makes no sense in {where}"
        raise _ask(_word_around(piece, found.start() + 1), options, problem)
    return text


def describe_place(piece: bytes, at: int, line: int) -> str:
    """Return where a byte stands, in an encoding of one byte a character, and which; `line` is the
    number of the piece's first line.
    """
    before = piece[:at]
    lines = before.splitlines(keepends=True)
    inside = lines[-1] if lines and not lines[-1].endswith((b"\n", b"\r")) else b""
    number = line + len(lines) - bool(inside)
    return f"line {number}, character {len(inside) + 1} (byte 0x{piece[at]:02x})"


def _ask(odd: bytes, options: ListOptions, problem: str) -> Ambiguity:
    choices = []
    for encoding in (WINDOWS, *_OTHERS):
        try:
            shown = odd.decode(encoding)
        except UnicodeDecodeError:
            if encoding != WINDOWS:
                continue
            shown = odd.decode(encoding, "replace")
        if shown.isprintable():
            choices.append(Choice(f"{shown} ({describe_encoding(encoding)})", replace(options, encoding=encoding)))
    return Ambiguity(
        f"{problem}; save the list as “CSV UTF-8”, or name its encoding, such as --encoding cp850 (“CSV (MS-DOS)”) or"
        " --encoding mac-roman (“CSV (Macintosh)”).",
        f"{problem}. Which of these is right?",
        tuple(choices),
    )


def _word_around(piece: bytes, at: int) -> bytes:
    """Return the word around a place, in an encoding of one byte a character."""
    word = re.compile(rb"[^\s,;|\"]{0,30}\Z").search(piece[max(0, at - 30) : at])
    rest = re.compile(rb"[^\s,;|\"]{0,30}").match(piece[at : at + 30])
    return (word[0] if word else b"") + (rest[0] if rest else b"")
