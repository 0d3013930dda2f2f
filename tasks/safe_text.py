"""Text of people and servers is made safe for a terminal: nothing of it may move a cursor, turn
writing around or end a colour.

A file and a pipe get the text as it is; JSON says the same everywhere and spells such characters
out.
"""

from __future__ import annotations

import io
import json
import re
import sys
from typing import IO, Any, Final, Protocol

# JSON itself spells out what is below a blank; C1 begins sequences as ESC does, the others turn
# writing around or end lines.
_SPELLED_OUT: Final = re.compile(r"[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class TextSink(Protocol):
    """Whatever takes text: a file, standard output."""

    def write(self, text: str, /) -> object: ...


def clean(text: str, *, keep_lines: bool = False) -> str:
    """Return text without what a terminal would obey: lists and servers are not trusted with it."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or (keep_lines and c == "\n") else "�" for c in text)


def to_json(value: Any) -> str:
    """Return a value as JSON on one line that a terminal may be shown."""
    return _SPELLED_OUT.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))


def open_stdout() -> TextSink:
    """Return standard output for results: text is cleaned where a terminal shows it, and is as it
    is in a file or a pipe, in UTF-8: no letter of a name is lost there.
    """
    if is_terminal(sys.stdout):
        return _Shown(sys.stdout)
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.encoding.lower() not in ("utf-8", "utf8"):
        sys.stdout.reconfigure(encoding="utf-8")
    return sys.stdout


def is_terminal(stream: Any) -> bool:
    """Tell whether a stream is a terminal; one that is closed or missing is none."""
    try:
        return bool(stream is not None and stream.isatty())
    except ValueError:
        return False


class _Shown:
    """A terminal that is written to line by line."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str, /) -> object:
        return self._stream.write(clean(text.replace("\r\n", "\n"), keep_lines=True))
