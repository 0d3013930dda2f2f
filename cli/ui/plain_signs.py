"""A terminal that knows few letters is written to in plain signs: none of it may end a command."""

from __future__ import annotations

import codecs
import io
import sys
from contextlib import suppress

_NAME = "usher.plain_signs"
_PLAIN = {
    "✓": "+",
    "✗": "x",
    "“": '"',
    "”": '"',
    "„": '"',
    "‘": "'",
    "’": "'",
    "–": "-",
    "—": "-",
    "−": "-",
    "…": "...",
    "→": "->",
    "·": "-",
    "×": "x",
}


def use_plain_signs() -> None:
    """Have standard output and error write what their encoding does not know in plain signs, or as
    `?`. What is no stream of bytes is left alone.
    """
    codecs.register_error(_NAME, _write_plainly)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with suppress(OSError):  # it has another file under it by now, as a fork's may
                stream.reconfigure(errors=_NAME)


def _write_plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_PLAIN.get(sign, "?") for sign in error.object[error.start : error.end]), error.end
