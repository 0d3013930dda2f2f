"""A cell that a spreadsheet would run as a formula is made harmless in a way that can be undone
exactly.

A display name such as `=HYPERLINK("https://…")` came from outside, and a results file is opened
with a double click. An apostrophe in front is how spreadsheets themselves mark text.
`Ann;=HYPERLINK(…)` is one cell of a list with commas and two of it where Excel splits at
semicolons, as it does in half of Europe, whatever quotation marks say: so a cell is looked at
behind every separator in it, too.

To stay invertible, a text that already looks escaped gets one more: `escape` adds an apostrophe
wherever something matches, `unescape` takes one from wherever something matches and has one. Which
places match does not change with the apostrophes, because they are passed over.
https://owasp.org/www-community/attacks/CSV_Injection
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

# What is passed over, because some programs trim a cell before they look at it, and then a sign
# that begins a formula; the second group of signs is the full-width one of East Asian keyboards. A
# tab or a line end in front counts by itself.
_SIGNS: Final = r"=+\-@\uff1d\uff0b\uff0d\uff20"
_BEGINS: Final = re.compile(rf"['\s]*[\t\r\n{_SIGNS}]")
_SEPARATOR: Final = re.compile(r"[;,\t\r\n]")
# From a separator over all that is passed over, and a sign if one follows. It matches at every
# separator: a pattern that may fail is tried again at each tab of a thousand tabs, and takes their
# number squared.
_RUN: Final = re.compile(rf"[;,\t\r\n]['\"\s]*[{_SIGNS}]?")
_SIGN_CHARACTERS: Final = frozenset("=+-@\uff1d\uff0b\uff0d\uff20")
_ESCAPED: Final = re.compile(r"([;,\t\r\n])'")
_NUMBER: Final = re.compile(r"\s*[+\-][\d\s().,/\-]*")
_PART: Final = re.compile(r"[^;,\t\r\n]*")


def escape_cell(text: str) -> str:
    """Return the text with an apostrophe wherever a spreadsheet could see a formula begin."""
    inside = _change_runs(text, lambda run: _SEPARATOR.sub(r"\g<0>'", run[0]))
    return f"'{inside}" if _BEGINS.match(text) else inside


def unescape_cell(cell: str) -> str:
    """Undo `escape_cell`; a cell it never changed, `O'Neill` or `'quoted'`, stays as it is."""
    inside = _change_runs(cell, lambda run: _ESCAPED.sub(r"\1", run[0]))
    return inside[1:] if cell[:1] == "'" and _BEGINS.match(cell) else inside


def escape_own_cell(text: str) -> str:
    """Return a cell of somebody's own list, escaped where a spreadsheet would run it.

    A telephone number, a negative number or a dash begins like a formula, too, and is none; a place
    that is escaped stays as it is, and so does an empty cell, or an empty line would be a guest's.
    """
    if not text.strip() or _NUMBER.fullmatch(text):
        return text

    def escape(run: re.Match[str]) -> str:
        return _SEPARATOR.sub(lambda found: found[0] + _apostrophe_at(text, run.start() + found.end()), run[0])

    inside = _change_runs(text, escape)
    return _apostrophe_at(text, 0) + inside if _BEGINS.match(text) else inside


def _change_runs(text: str, change: Callable[[re.Match[str]], str]) -> str:
    """Return a text with a change in each run between a separator and a sign."""
    if not _SEPARATOR.search(text):
        return text
    return _RUN.sub(lambda run: change(run) if run[0][-1] in _SIGN_CHARACTERS else run[0], text)


def _apostrophe_at(text: str, at: int) -> str:
    """Return the apostrophe that a place of somebody's own cell needs, if any."""
    if text[at : at + 1] == "'":
        return ""
    part = _PART.match(text, at)
    return "" if part is not None and _NUMBER.fullmatch(part[0]) else "'"
